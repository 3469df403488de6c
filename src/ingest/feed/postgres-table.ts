/** A table of a source: its columns, its key, and whether it can be followed at all. */
import { ident } from '../../model/names.ts'
import type { Sql } from '../../platform/postgres.ts'
import { type PgType, valueWriter, type WriteValue } from './postgres-value.ts'

export type PgColumn = {
  readonly name: string
  /** As SQL writes it, for a parameter's cast. */
  readonly sqlType: string
  readonly type: PgType
  readonly write: WriteValue
}
export type PgTable = {
  readonly schema: string
  readonly name: string
  readonly columns: readonly PgColumn[]
  /** Names of the primary key's columns, in its order. */
  readonly key: readonly string[]
  readonly kind: string
  /** Whether a published update or delete can say which row it was of, as `relreplident` has it; of a partitioned table each one's. */
  readonly identities: readonly string[]
  /** Its primary key is checked only at a commit, so it tells no row. */
  readonly deferrable: boolean
}

export const tableSql = ({ schema, name }: Pick<PgTable, 'schema' | 'name'>): string =>
  `${ident(schema)}.${ident(name)}`

/**
 * `generated`: with its stored generated columns, which a replication log doesn't carry.
 * Throws, saying what to do, where the table isn't there or has no primary key.
 */
export const describeTable = async (
  sql: Sql,
  { schema, name }: { readonly schema: string; readonly name: string },
  { generated }: { readonly generated: boolean },
): Promise<PgTable> => {
  const where = `${schema}.${name}`
  const [table] = await sql<
    { oid: string; kind: string; identities: string[]; deferrable: boolean; key: string[] | null }[]
  >`
    select c.oid::text, c.relkind::text as kind,
      array(select distinct p.relreplident::text from pg_partition_tree(c.oid) t join pg_class p on p.oid = t.relid
        union select c.relreplident::text) as identities,
      exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary and not i.indimmediate) as deferrable,
      (select array_agg(a.attname::text order by k.n) from pg_index i
        cross join unnest(i.indkey) with ordinality k(attnum, n)
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
        where i.indrelid = c.oid and i.indisprimary and k.n <= i.indnkeyatts) as key
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema} and c.relname = ${name} and c.relkind in ('r', 'p', 'v', 'm', 'f')`
  if (table === undefined)
    throw new Error(
      `the source has no table ${where}, or its user may not see it: create it, or mend \`table\` in the schema folder`,
    )
  if (!table.key)
    throw new Error(
      `the source's table ${where} has no primary key, without which a row's changes can't be told from another's: add one`,
    )
  const columns = await sql<{ name: string; type: number; sqlType: string; modifier: number }[]>`
    select attname::text as name, atttypid::int8::int as type, format_type(atttypid, atttypmod) as "sqlType", atttypmod as modifier
    from pg_attribute where attrelid = ${table.oid}::oid and attnum > 0 and not attisdropped and (${generated} or attgenerated = '')
    order by attnum`
  const types = await typesOf(
    sql,
    columns.map(({ type }) => type),
  )
  return {
    schema,
    name,
    kind: table.kind,
    identities: table.identities,
    deferrable: table.deferrable,
    key: table.key,
    columns: columns.map(({ name, type, sqlType, modifier }) => {
      const resolved = { ...types.get(type)!, modifier }
      return { name, sqlType, type: resolved, write: valueWriter(resolved) }
    }),
  }
}

/** Types by oid, domains taken off, arrays with their elements. */
export const typesOf = async (sql: Sql, asked: readonly number[]): Promise<ReadonlyMap<number, PgType>> => {
  const found = new Map<number, PgType>()
  if (asked.length === 0) return found
  const rows = await sql<{ asked: number; oid: number; element: number }[]>`
    with recursive base as (
      select oid as asked, oid, typtype, typbasetype, typcategory, typlen, typelem from pg_type where oid::int8 = any(${[...asked]}::int8[])
      union all
      select b.asked, t.oid, t.typtype, t.typbasetype, t.typcategory, t.typlen, t.typelem from base b join pg_type t on t.oid = b.typbasetype
      where b.typtype = 'd')
    select asked::int8::int as asked, oid::int8::int as oid,
      case when typcategory = 'A' and typlen = -1 then typelem::int8::int else 0 end as element
    from base where typtype <> 'd'`
  const elements = await typesOf(sql, [...new Set(rows.map(({ element }) => element).filter((oid) => oid !== 0))])
  for (const { asked, oid, element } of rows) {
    const of = elements.get(element)
    found.set(asked, of ? { oid, element: of } : { oid })
  }
  for (const oid of asked) if (!found.has(oid)) found.set(oid, { oid })
  return found
}
