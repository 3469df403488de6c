/**
 * How a database differs from what its migrations say. Both sides are read from the catalog in Postgres's own words: the wanted one
 * from tables made for the purpose in a savepoint and taken back, so that types, defaults and expressions are spelled alike.
 */
import type { TransactionSql } from 'postgres'
import { ident, quote } from '../../model/names.ts'
import { indexTerms, type Physical, type Table, tableName } from './physical.ts'

/** Empty where the database is as wanted. Tables and plain indexes that the migrations don't name are nobody's business. */
export const drift = async (tx: TransactionSql, wanted: Physical): Promise<readonly string[]> => {
  const names = wanted.tables.map(tableName)
  const [want, have] = [await inScratch(tx, wanted), await describe(tx, names)]
  const tables = new Set([...have.keys()].map((key) => key.split(' ', 1)[0]))
  const absent = names.filter((name) => !tables.has(name))
  return [
    ...absent.map((name) => `table ${name} is missing`),
    ...[...want].flatMap(([key, definition]) => {
      const found = have.get(key)
      if (found === definition || absent.some((name) => key.startsWith(`${name} `))) return []
      return [found === undefined ? `${key} is missing (${definition})` : `${key} is ${found}, not ${definition}`]
    }),
    ...[...have]
      .filter(([key, definition]) => !want.has(key) && !(key.includes(' index ') && !definition.startsWith('unique')))
      .filter(([key]) => !wanted.objects.some(({ name }) => key.endsWith(` ${name}`)))
      .map(([key, definition]) => `${key} is not in the migrations (${definition})`),
    ...(await missingObjects(tx, wanted)),
  ]
}

const scratch = 'forebay_scratch_'

const inScratch = async (tx: TransactionSql, wanted: Physical): Promise<ReadonlyMap<string, string>> => {
  const tables = wanted.tables.map((table) => ({ ...table, schema: scratch + table.schema }))
  const schemas = [...new Set(tables.map((table) => table.schema))]
  let result: ReadonlyMap<string, string> = new Map()
  const undo = Symbol('undo')
  await tx
    .savepoint(async (inner) => {
      await inner.unsafe(
        [...schemas.map((schema) => `create schema ${ident(schema)}`), ...tables.flatMap(create)].join(';\n'),
      )
      result = await describe(inner, tables.map(tableName))
      throw undo
    })
    .catch((error: unknown) => {
      if (error !== undo) throw error
    })
  return new Map([...result].map(([key, definition]) => [key.slice(scratch.length), definition]))
}

const create = (table: Table): string[] => {
  const list = (names: readonly string[]) => names.map(ident).join(', ')
  const on = `${ident(table.schema)}.${ident(table.name)}`
  const parts = [
    ...table.columns.map((column) =>
      [
        ident(column.name),
        column.type,
        column.default === undefined ? '' : `default ${column.default}`,
        column.generated === undefined ? '' : `generated always as (${column.generated}) stored`,
        column.identity ? 'generated always as identity' : '',
        column.notNull ? 'not null' : '',
      ].join(' '),
    ),
    `constraint ${ident(`${table.name}_pkey`)} primary key (${list(table.key)})`,
    ...(table.uniques ?? []).map((unique) => `constraint ${ident(unique.name)} unique (${list(unique.columns)})`),
    ...(table.checks ?? []).map((check) => `constraint ${ident(check.name)} check (${check.sql})`),
  ]
  return [
    `create table ${on} (${parts.join(', ')})${table.partitionBy === undefined ? '' : ` partition by ${table.partitionBy}`}`,
    ...table.indexes.map(
      (index) =>
        `create index ${ident(index.name)} on ${on} (${indexTerms(index, ident)})${index.where === undefined ? '' : ` where ${index.where}`}`,
    ),
  ]
}

/** `sales.order column id` → `text collate "C" not null`, and so on for constraints, indexes and partitioning. */
const describe = async (tx: TransactionSql, tables: readonly string[]): Promise<ReadonlyMap<string, string>> => {
  const rows = await tx<{ key: string; definition: string }[]>`
    with wanted as (
      select c.oid, n.nspname || '.' || c.relname as name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and n.nspname || '.' || c.relname = any (${tables as string[]}::text[])
    )
    select name || ' column ' || a.attname as key, concat_ws(' ',
      format_type(a.atttypid, a.atttypmod),
      'collate ' || quote_ident((select collname from pg_collation l where l.oid = a.attcollation and l.oid <> t.typcollation)),
      case when a.attnotnull then 'not null' end,
      case when a.attidentity <> '' then 'identity' end,
      case a.attgenerated when 's' then 'generated as' when 'v' then 'virtual as' else case when d.oid is not null then 'default' end end,
      pg_get_expr(d.adbin, d.adrelid)) as definition
    from wanted w join pg_attribute a on a.attrelid = w.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    union all
    select name || ' constraint ' || conname, pg_get_constraintdef(c.oid)
    from wanted w join pg_constraint c on c.conrelid = w.oid and c.contype <> 'n'
    union all
    select name || ' index ' || i.relname, concat_ws(' ', case when x.indisunique then 'unique' end,
      substring(pg_get_indexdef(x.indexrelid) from ' USING (.*)$'), case when not x.indisvalid then 'invalid' end)
    from wanted w join pg_index x on x.indrelid = w.oid join pg_class i on i.oid = x.indexrelid
    where not exists (select from pg_constraint c where c.conindid = x.indexrelid and c.conrelid = w.oid)
    union all
    select name || ' trigger ' || t.tgname, pg_get_triggerdef(t.oid)
    from wanted w join pg_trigger t on t.tgrelid = w.oid and not t.tgisinternal
    union all
    select name || ' partitioning', pg_get_partkeydef(w.oid) from wanted w where pg_get_partkeydef(w.oid) is not null
    order by 1`
  return new Map(rows.map((row) => [row.key, row.definition]))
}

const missingObjects = async (tx: TransactionSql, wanted: Physical): Promise<string[]> => {
  if (wanted.objects.length === 0) return []
  const asked = wanted.objects.map((object) => `select ${quote(object.name)} as name where not (${object.exists})`)
  const rows = await tx.unsafe<{ name: string }[]>(asked.join(' union all '))
  return rows.map((row) => `${row.name} is missing`)
}
