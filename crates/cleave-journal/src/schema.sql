create schema if not exists cleave;
comment on schema cleave is 'Cleave keeps its journal here. While a move is open, nothing in it may be changed by hand.';

create table if not exists cleave.meta (
  version integer primary key,
  installed_at timestamptz not null default now()
);

-- One row. The epoch is the key: taking the lease over changes it and so waits for every transaction that has
-- checked it (for key share), while renewing it waits for nobody.
create table if not exists cleave.lease (
  epoch bigint primary key,
  holder text not null,
  label text not null,
  expires_at timestamptz not null,
  single boolean not null unique default true check (single)
);

create table if not exists cleave.owner (
  service text primary key,
  home text not null,
  epoch bigint not null,
  pending_home text,
  pending_epoch bigint,
  since timestamptz not null default now()
);

create table if not exists cleave.move (
  service text primary key,
  id bigint not null,
  source text not null,
  target text not null,
  state text not null,
  paused boolean not null default false,
  plan jsonb not null,
  fingerprint text not null default '',
  verification jsonb,
  problem jsonb,
  updated_at timestamptz not null default now()
);

create table if not exists cleave.journal (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  service text not null,
  move bigint not null,
  lease_epoch bigint not null,
  step text not null,
  event text not null check (event in ('begin', 'done', 'undone', 'failed', 'note')),
  detail jsonb not null default '{}'
);
create index if not exists journal_by_service on cleave.journal (service, move, id);

create table if not exists cleave.operation (
  id bigint generated always as identity primary key,
  service text not null,
  verb text not null,
  arguments jsonb not null default '{}',
  requested_by text not null,
  requested_at timestamptz not null default clock_timestamp(),
  state text not null default 'requested' check (state in ('requested', 'running', 'done')),
  result jsonb,
  finished_at timestamptz
);

create table if not exists cleave.position (
  stream text primary key,
  slot text not null,
  system_identifier text not null,
  timeline integer not null,
  lsn pg_lsn not null,
  marker text,
  applied_at timestamptz not null default clock_timestamp()
);

create table if not exists cleave.copied (
  stream text not null,
  source_oid oid not null,
  start pg_lsn not null,
  rows bigint not null,
  bytes bigint not null,
  primary key (stream, source_oid)
);

-- Since version 2. While a table is filled in chunks, each committed on its own, its row here says that what stands in
-- it is ours; the last chunk puts its row into cleave.copied instead.
create table if not exists cleave.copying (
  stream text not null,
  source_oid oid not null,
  target_oid oid not null,
  start pg_lsn not null,
  chunks_left bigint not null,
  rows bigint not null default 0,
  bytes bigint not null default 0,
  primary key (stream, source_oid)
);

-- Since version 5. A giant is filled in ranges of its key, each read in a snapshot of its own. A range is copied once it
-- has a start; it has no lower end, or no upper one, where those are null.
create table if not exists cleave.copied_range (
  stream text not null,
  source_oid oid not null,
  number integer not null,
  target_oid oid not null,
  key_column text not null,
  key_type text not null,
  lower_end text,
  upper_end text,
  start pg_lsn,
  rows bigint not null default 0,
  bytes bigint not null default 0,
  primary key (stream, source_oid, number)
);

-- Since version 5. Rows of giants that were read by themselves, later than their range, in a snapshot that sees some of the
-- transactions before start and none behind it.
create table if not exists cleave.copied_row (
  stream text not null,
  source_oid oid not null,
  key bytea not null,
  start pg_lsn not null,
  seen text not null,
  primary key (stream, source_oid, key)
);

create table if not exists cleave.work (
  id bigint generated always as identity primary key,
  service text not null,
  reference text not null,
  kind text not null,
  keys jsonb not null,
  at timestamptz not null default clock_timestamp(),
  resolution text,
  resolved_at timestamptz
);
create index if not exists work_open on cleave.work (service) where resolved_at is null;

-- Since version 3. How far a comparison has come, so that one whose process died goes on where it was: part '' says what
-- is compared, each other one how much of a table is proven. The place in a table is a value of its key.
create table if not exists cleave.verifying (
  service text not null,
  part text not null,
  state jsonb not null,
  primary key (service, part)
);

-- Since version 4. Who uses the bridge of a service that has switched, as engines have seen it: a row with empty role and
-- application says since when they have looked, and when last.
create table if not exists cleave.bridge_use (
  service text not null,
  role text not null,
  application text not null,
  first_seen timestamptz not null default clock_timestamp(),
  last_seen timestamptz not null default clock_timestamp(),
  primary key (service, role, application)
);

-- Since version 5. The columns of a stream's tables on the source as they were where its rows were copied or last applied,
-- by their numbers, so that what has become of them can be told; and which changes of them were made on the target.
create table if not exists cleave.shape (
  stream text not null,
  source_oid oid not null,
  last_number integer not null,
  filenode oid not null,
  columns jsonb not null,
  followed jsonb not null default '[]',
  primary key (stream, source_oid)
);

-- Since version 5. Tables that their stream leaves to a stream of their own, as a change of one of them was refused. The key
-- is that of the refused row.
create table if not exists cleave.detached (
  stream text not null,
  source_oid oid not null,
  table_name text not null,
  part integer not null,
  cause boolean not null,
  code text not null,
  error text not null,
  key jsonb,
  position pg_lsn not null,
  since timestamptz not null default clock_timestamp(),
  primary key (stream, source_oid)
);
