/** What the engine has beside its tables: schemas, a sequence, functions, partitions, a trigger, and its one row. */
import { dirtySlots } from './engine-tables.ts'
import type { EngineObject } from './physical.ts'

/**
 * What an answer writes for an instant: `2026-11-21T09:30:00.5Z`. Immutable because the zone is named. In PL/pgSQL 1.3 µs a call, in
 * SQL 2.4: `to_char` is not immutable by declaration, which keeps Postgres from inlining an immutable function over it.
 */
const iso = `create or replace function forebay.iso(at timestamptz) returns text
language plpgsql immutable strict parallel safe as $$
begin
  return rtrim(rtrim(to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z';
end $$`

/** What operators did and why stays as it was written. */
const appendOnly = `create or replace function forebay.append_only() returns trigger
language plpgsql as $$
begin
  raise exception 'forebay.% is append-only', tg_table_name;
end $$`

export const engineObjects: readonly EngineObject[] = [
  {
    name: 'schema forebay',
    before: true,
    sql: 'CREATE SCHEMA IF NOT EXISTS "forebay"',
    exists: `to_regnamespace('forebay') is not null`,
  },
  {
    name: 'schema forebay_view',
    before: true,
    sql: 'create schema if not exists forebay_view',
    exists: `to_regnamespace('forebay_view') is not null`,
  },
  {
    name: 'sequence forebay.row_version',
    before: true,
    sql: 'create sequence if not exists forebay.row_version',
    exists: `to_regclass('forebay.row_version') is not null`,
  },
  {
    name: 'function forebay.iso',
    before: true,
    sql: iso,
    exists: `to_regprocedure('forebay.iso(timestamptz)') is not null`,
  },
  ...dirtySlots.map((slot) => ({
    name: `partition forebay.dirty_${slot}`,
    before: false,
    sql: `create table if not exists forebay.dirty_${slot} partition of forebay.dirty for values in (${slot})`,
    exists: `exists (select from pg_inherits where inhrelid = to_regclass('forebay.dirty_${slot}') and inhparent = to_regclass('forebay.dirty'))`,
  })),
  {
    name: 'function forebay.append_only',
    before: true,
    sql: appendOnly,
    exists: `to_regprocedure('forebay.append_only()') is not null`,
  },
  {
    name: 'trigger audit_is_append_only',
    before: false,
    sql: 'create or replace trigger audit_is_append_only before update or delete or truncate on forebay.audit execute function forebay.append_only()',
    exists: `exists (select from pg_trigger where tgname = 'audit_is_append_only' and tgrelid = to_regclass('forebay.audit'))`,
  },
  {
    name: 'row of forebay.catalog',
    before: false,
    sql: 'insert into forebay.catalog (version) values (1) on conflict do nothing',
    exists: 'exists (select from forebay.catalog)',
  },
  {
    name: 'row of forebay.key_secret',
    before: false,
    // 244 random bits; kept with what it names, so that every process, replica and backup has it.
    sql: "insert into forebay.key_secret (secret) values (replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')) on conflict do nothing",
    exists: 'exists (select from forebay.key_secret)',
  },
]
