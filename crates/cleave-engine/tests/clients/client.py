"""What SQLAlchemy or Django does with the tables `customer`, `note` and `event`: a line per operation, `ok` or the SQLSTATE.

Arguments: the library, the connection string, the schema that names are written with (or an empty text).
"""
import datetime
import sys

library, url, schema = sys.argv[1:4]
DAY = datetime.date(2020, 6, 2)


def report(name, operation):
    try:
        operation()
        print(f"{name}: ok")
    except Exception as error:
        cause = getattr(error, "orig", None) or error.__cause__ or error
        state = getattr(cause, "sqlstate", None)
        print(f"{name}: {state or 'not there'}", flush=True)
        if state is None:
            print(repr(error), file=sys.stderr)


def sqlalchemy():
    import sqlalchemy as sa
    from sqlalchemy import orm
    from sqlalchemy.dialects.postgresql import insert

    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    named = {"schema": schema or None}

    class Base(orm.DeclarativeBase):
        pass

    class Customer(Base):
        __tablename__ = "customer"
        __table_args__ = named
        id = sa.Column(sa.BigInteger, primary_key=True)
        name = sa.Column(sa.Text)
        words = sa.Column(sa.Integer, sa.FetchedValue())

    class Note(Base):
        __tablename__ = "note"
        __table_args__ = named
        id = sa.Column(sa.Integer, sa.FetchedValue(), primary_key=True)
        customer_id = sa.Column(sa.ForeignKey(Customer.id))
        body = sa.Column(sa.Text)

    event = sa.Table(
        "event", Base.metadata, sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("at", sa.Date, primary_key=True), sa.Column("body", sa.Text), **named)

    def write():
        with orm.Session(engine) as session:
            customer = Customer(name="new")
            session.add(customer)
            session.flush()
            assert customer.words == 3, customer.words
            session.add(Note(customer_id=customer.id, body="b"))
            session.commit()
            customer.name = "changed"
            session.commit()
            assert session.query(Note).join(Customer).filter(Customer.name == "changed").count() > 0
            session.query(Note).filter_by(customer_id=customer.id).delete()
            session.delete(customer)
            session.commit()

    def bulk():
        with orm.Session(engine) as session:
            session.add_all([Note(customer_id=1, body=f"bulk {n}") for n in range(50)])
            session.commit()
            session.query(Note).filter(Note.body.like("bulk %")).delete()
            session.commit()

    def upsert():
        with engine.begin() as connection:
            statement = insert(event).values(id=1, at=DAY, body="x")
            connection.execute(statement.on_conflict_do_update(index_elements=["id", "at"], set_={"body": "y"}))

    def lock():
        with orm.Session(engine) as session:
            assert session.query(Customer).filter_by(id=1).with_for_update(skip_locked=True).one().id == 1

    def savepoint():
        with orm.Session(engine) as session:
            nested = session.begin_nested()
            session.add(Note(customer_id=1, body="undone"))
            session.flush()
            nested.rollback()
            assert session.query(Note).filter_by(body="undone").count() == 0

    def reflect():
        key = sa.inspect(engine).get_pk_constraint("customer", schema=schema or None)
        # A view is reflected without a key, or not found as a table.
        if key["constrained_columns"] != ["id"]:
            raise LookupError("no key")

    return [("write", write), ("bulk insert", bulk), ("upsert", upsert), ("row lock", lock),
            ("savepoint", savepoint), ("reflection of the key", reflect)]


def django():
    import django
    import psycopg
    from django.conf import settings

    parts = psycopg.conninfo.conninfo_to_dict(url)
    settings.configure(
        DATABASES={"default": {
            "ENGINE": "django.db.backends.postgresql", "NAME": parts["dbname"], "USER": parts["user"],
            "PASSWORD": parts["password"], "HOST": parts["host"], "PORT": parts["port"]}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True)
    django.setup()
    from django.db import connection, models, transaction

    # Django has no schemas; this is how its users write one.
    def named(table):
        return f'{schema}"."{table}' if schema else table

    class Customer(models.Model):
        name = models.TextField()

        class Meta:
            app_label, managed, db_table = "shop", False, named("customer")

    class Note(models.Model):
        id = models.AutoField(primary_key=True)
        customer = models.ForeignKey(Customer, models.DO_NOTHING)
        body = models.TextField()

        class Meta:
            app_label, managed, db_table = "shop", False, named("note")

    def write():
        customer = Customer.objects.create(name="new")
        note = Note.objects.create(customer=customer, body="b")
        customer.name = "changed"
        customer.save()
        assert Note.objects.filter(customer__name="changed").select_related("customer").count() > 0
        note.delete()
        Customer.objects.filter(id=customer.id).delete()

    def bulk():
        Note.objects.bulk_create([Note(customer_id=1, body=f"bulk {n}") for n in range(50)])
        Note.objects.filter(body__startswith="bulk ").delete()

    def upsert():
        note = Note.objects.create(customer_id=1, body="x")
        Note.objects.bulk_create(
            [Note(id=note.id, customer_id=1, body="y")], update_conflicts=True, unique_fields=["id"],
            update_fields=["body"])
        note.refresh_from_db()
        assert note.body == "y"

    def lock():
        with transaction.atomic():
            assert Customer.objects.select_for_update(skip_locked=True).get(id=1).id == 1

    def savepoint():
        with transaction.atomic():
            point = transaction.savepoint()
            Note.objects.create(customer_id=1, body="undone")
            transaction.savepoint_rollback(point)
            assert not Note.objects.filter(body="undone").exists()

    def reflect():
        with connection.cursor() as cursor:
            # It looks names up by the search path only.
            if connection.introspection.get_primary_key_column(cursor, "customer") != "id":
                raise LookupError("no key")

    return [("write", write), ("bulk insert", bulk), ("upsert", upsert), ("row lock", lock),
            ("savepoint", savepoint), ("reflection of the key", reflect)]


for operation in {"sqlalchemy": sqlalchemy, "django": django}[library]():
    report(*operation)
