// What TypeORM does with the tables `customer`, `note` and `event`: a line per operation, `ok` or the SQLSTATE.
// Arguments: the connection string, the schema that names are written with (or an empty text).
const { DataSource, EntitySchema } = require("typeorm");

const [url, schema] = process.argv.slice(2);
const named = schema ? { schema } : {};
const id = { type: "int", primary: true, generated: "increment" };
const Customer = new EntitySchema({
  name: "Customer", tableName: "customer", ...named,
  columns: { id: { ...id, type: "bigint" }, name: { type: "text" } },
});
const Note = new EntitySchema({
  name: "Note", tableName: "note", ...named,
  columns: { id, customer_id: { type: "bigint" }, body: { type: "text" } },
  relations: { customer: { type: "many-to-one", target: "Customer", joinColumn: { name: "customer_id" } } },
});
const Event = new EntitySchema({
  name: "Event", tableName: "event", ...named,
  columns: { id: { type: "bigint", primary: true }, at: { type: "date", primary: true }, body: { type: "text" } },
});

function holds(condition, what) {
  if (!condition) throw new Error(what);
}

async function main() {
  const source = await new DataSource({ type: "postgres", url, entities: [Customer, Note, Event] }).initialize();
  const [customers, notes, events] = [Customer, Note, Event].map((entity) => source.getRepository(entity));
  const operations = {
    write: async () => {
      const customer = await customers.save({ name: "new" });
      const note = await notes.save({ customer_id: customer.id, body: "b" });
      await customers.save({ id: customer.id, name: "changed" });
      const found = await notes.find({ where: { id: note.id }, relations: { customer: true } });
      holds(found[0].customer.name === "changed", "the join");
      await notes.delete(note.id);
      await customers.delete(customer.id);
    },
    "bulk insert": async () => {
      await notes.insert(Array.from({ length: 50 }, (_, n) => ({ customer_id: 1, body: "bulk " + n })));
      await notes.createQueryBuilder().delete().where("body like 'bulk %'").execute();
    },
    upsert: () => events.upsert({ id: 1, at: "2020-06-02", body: "y" }, ["id", "at"]),
    "row lock": () => source.transaction(async (manager) => {
      const lock = { mode: "pessimistic_write", onLocked: "skip_locked" };
      holds(await manager.findOne(Customer, { where: { id: 1 }, lock }), "a row");
    }),
    savepoint: () => source.transaction(async (manager) => {
      const undone = manager.transaction(async (inner) => {
        await inner.save(Note, { customer_id: 1, body: "undone" });
        throw new Error("undo");
      });
      await undone.catch((error) => {
        if (error.message !== "undo") throw error;
      });
      holds((await manager.countBy(Note, { body: "undone" })) === 0, "nothing is left");
    }),
    "reflection of the key": async () => {
      const table = await source.createQueryRunner().getTable((schema ? schema + "." : "") + "customer");
      holds(table && table.primaryColumns.length === 1, "a key");
    },
  };
  for (const [name, operation] of Object.entries(operations)) {
    await operation().then(
      () => console.log(name + ": ok"),
      (error) => console.log(name + ": " + (error.code || "not there")),
    );
  }
  await source.destroy();
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
