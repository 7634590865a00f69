-- One of everything that a move carries, under names that need quotes where they can.
create schema shop;
create schema "Other Place";
create schema ext;
set search_path = shop;

create type mood as enum ('sad', 'so-so', 'it''s fine');
comment on type mood is 'how it feels';
create domain year as integer default 2000 constraint year_check check (value >= 1901 and value <= 2155);
create domain label as text collate "C" not null constraint label_short check (length(value) < 100);
create type point3 as (x integer, y integer, "Z z" text collate "C");
create type nested as (at point3, feels mood[]);
create type floatspan as range (subtype = float8, subtype_diff = float8mi);

create function touch() returns trigger language plpgsql as $$
begin
    new.touched := now();
    return new;
end $$;
comment on function touch() is 'keeps touched';
create function slug(value text) returns text language sql immutable strict as $$ select lower(value) $$;
create function double(value integer) returns integer language sql immutable begin atomic select value * 2; end;
create function is_happy(value mood) returns boolean language sql immutable set search_path = shop as
    $$ select value <> 'sad'::mood $$;
create function noisy(t text, variadic rest integer[] default '{}') returns integer language plpgsql
    security definer as $$ begin return 1; end $$;

create sequence loose increment by 3 minvalue 5 maxvalue 5000 start 20 cache 7 cycle;
create sequence counting_down as smallint increment by -1;

create table "Order" (
    id bigint generated always as identity (sequence name shop."Order numbers" start with 1000 increment by 10),
    code text not null default ('o-' || nextval('loose'::regclass)),
    "select" integer default 7,
    mood mood not null default 'so-so',
    moods mood[],
    made year,
    label label default 'x',
    place point3,
    places point3[],
    inside nested,
    span floatspan,
    spans floatspan_multirange,
    price numeric(10, 2) not null default 0 check (price >= 0),
    doubled integer generated always as (double(7)) stored,
    slugged text generated always as (slug(code)) stored,
    tags varchar(20)[] default '{}',
    data jsonb default '{"a": 1}'::jsonb,
    body text,
    touched timestamptz default now(),
    note text collate "C",
    countdown smallint not null default nextval('counting_down'),
    serial_no serial,
    during tstzrange,
    gone integer,
    constraint "Order_pkey" primary key (id),
    constraint order_code_key unique (code) deferrable initially deferred,
    constraint order_happy check (is_happy(mood)),
    constraint order_two unique (serial_no, made)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_enabled = off);
alter table "Order" drop column gone;
alter table "Order" alter column body set storage external;
alter table "Order" alter column code set statistics 500;
alter table "Order" alter column serial_no set (n_distinct = -0.5);
alter table "Order" add constraint order_late check (length(code) < 50) not valid;
alter table "Order" add constraint order_spans exclude using gist (during with &&);
create index order_expr on "Order" (lower(code), price desc nulls last) include (mood) where price > 1;
create index order_tags on "Order" using gin (tags);
create unique index order_touched on "Order" (touched, id) where touched is not null;
create statistics order_stats (ndistinct, dependencies) on price, mood from "Order";
create trigger touch before update on "Order" for each row when (old.price is distinct from new.price)
    execute function touch();
create trigger touch_off before insert on "Order" for each row execute function touch();
alter table "Order" disable trigger touch_off;
create constraint trigger late after insert on "Order" deferrable initially deferred for each row
    execute function touch();
comment on table "Order" is 'orders; it''s "quoted"';
comment on column "Order".price is 'in euros';
comment on constraint order_happy on "Order" is 'cheerful';
comment on index order_expr is 'for search';
comment on trigger touch on "Order" is 'stamps';

create table line (
    order_id bigint not null,
    number integer not null,
    what text,
    parent_order bigint,
    parent_number integer,
    primary key (order_id, number),
    constraint line_order foreign key (order_id) references "Order" (id) on update cascade on delete cascade,
    constraint line_parent foreign key (parent_order, parent_number) references line (order_id, number)
        match full deferrable initially deferred
);
alter table line add constraint line_late foreign key (parent_order) references "Order" (id) on delete set null not valid;
comment on constraint line_order on line is 'belongs';

create table keyed_otherwise (a integer not null, b text not null, c text);
create unique index keyed_otherwise_b on keyed_otherwise (b, a);
alter table keyed_otherwise replica identity using index keyed_otherwise_b;
create table keyless (a integer, b text);
alter table keyless replica identity full;

create table payment (
    id integer not null default nextval('loose'),
    at date not null default current_date,
    order_id bigint references "Order" (id),
    amount numeric(5, 2) not null constraint positive check (amount > 0),
    constraint payment_pk primary key (id, at)
) partition by range (at);
create table payment_2024 partition of payment for values from ('2024-01-01') to ('2025-01-01');
create table payment_2025 (amount numeric(5, 2) not null constraint positive check (amount > 0), id integer not null,
    order_id bigint, at date not null, constraint only_here check (id > 0));
alter table payment attach partition payment_2025 for values from ('2025-01-01') to ('2026-01-01');
create table payment_rest partition of payment default partition by list (id);
create table payment_rest_1 partition of payment_rest for values in (1, 2, 3);
create table payment_rest_more partition of payment_rest default;
create index payment_amount on payment (amount);
create index payment_2024_only on payment_2024 (order_id);
create trigger touch_payment after insert on payment for each row execute function touch();

create table secret (id integer primary key, owner_name text);
alter table secret enable row level security;
alter table secret force row level security;
create policy mine on secret for select to zoo_reader, zoo_writer using (owner_name = current_user);
create policy all_of_it on secret as restrictive using (true) with check (id > 0);

grant usage on schema shop to zoo_reader;
grant select on "Order", line to zoo_reader;
grant select, insert, update, delete on "Order" to zoo_writer with grant option;
grant update (price, note) on "Order" to zoo_reader;
grant select on line to public;
grant usage, select on sequence loose to zoo_writer;
revoke execute on function noisy(text, integer[]) from public;
grant execute on function noisy(text, integer[]) to zoo_writer;

-- What stays.
create table invoice (
    id integer primary key,
    order_id bigint constraint invoice_order references "Order" (id) on delete cascade,
    line_order bigint,
    line_number integer,
    constraint invoice_line foreign key (line_order, line_number) references line (order_id, number)
);
create view order_list as select o.id, o.code, l.what from "Order" o left join line l on l.order_id = o.id;
create view order_list_list as select * from order_list;
create view order_keyed as select o.id, o.code, count(*) from "Order" o group by o.id;
create materialized view order_totals as select count(*) from "Order";
