/** A source's own table, read as its feed would bring it: pages by key, or the rows of given keys, each decoded to the entity's row. */
import { createHash } from 'node:crypto'
import type { Entity, ScalarName, TableSource } from '../../model/model.ts'
import { ident, quote } from '../../model/names.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Change } from '../change.ts'
import type { Decoder } from '../decode.ts'
import { envelope, keyJson, rowJson } from '../feed/envelope.ts'
import { describeTable, type PgColumn, type PgTable, tableSql } from '../feed/postgres-table.ts'
import { textOfBytes } from '../feed/postgres-value.ts'

/** `stamp`: another one after every write of the row. `recordKey`: the bytes of its record's key. */
export type SourceRow = { readonly change: Change; readonly stamp: string; readonly recordKey: Buffer }
/** `last`: the key after which the next page begins, as texts in the order of the table's key; null: there is none. */
export type SourcePage = { readonly rows: readonly SourceRow[]; readonly last: readonly string[] | null }
export type SourceTable = {
  page(after: readonly string[] | null, size: number): Promise<SourcePage>
  /** Of keys as the log has them; the rows that are there. */
  byKeys(keys: readonly string[]): Promise<readonly SourceRow[]>
}

const plainKeys = new Set<ScalarName>(['ID', 'String', 'Int', 'Long', 'Decimal', 'Boolean', 'Date'])

/** Why rows of the entity need not be what its source's table has; undefined: they must be. */
export const whyNotComparable = (entity: Entity): string | undefined => {
  const { source, conflict, key, columns } = entity
  if (source.table === undefined) return 'it comes over a log'
  if (source.table.poll !== undefined) return 'its table is polled, and the sweeps of the poll compare it'
  if (conflict !== 'VERSION' || source.version !== undefined)
    return 'which of its changes counts is not for the source’s order to say'
  if (source.each !== undefined) return 'its rows are elements of an array'
  if (entity.retention !== undefined) return 'its rows are kept for a time only'
  const plain = key.every((name) => {
    const { type, path } = columns.find((column) => column.name === name)!
    return path.length === 1 && type.kind === 'scalar' && plainKeys.has(type.scalar)
  })
  return plain ? undefined : 'its key is not the table’s as it is'
}

/** Throws, saying why, where the table's key isn't the entity's. */
export const openSourceTable = async (
  source: Sql,
  entity: Entity,
  table: TableSource,
  decoder: Decoder,
): Promise<SourceTable> => {
  const described = await describeTable(source, table, { generated: false })
  const [server] = await source<{ judges: boolean }[]>`
    select current_setting('server_version_num')::int >= 160000 as judges`
  const judges = server!.judges
  const nameOf = (field: string): string => entity.columns.find(({ name }) => name === field)!.path[0]!
  const places = described.key.map((name) => entity.key.findIndex((field) => nameOf(field) === name))
  if (places.includes(-1) || described.key.length !== entity.key.length)
    throw new Error(`the key of the source's table ${table.schema}.${table.name} is not that of ${entity.name}`)
  const keys = described.key.map((name) => described.columns.find((column) => column.name === name)!)
  const list = described.columns.map(({ name }) => `t.${ident(name)}`).join(', ')
  const own = keys.map(({ name }) => `t.${ident(name)}`).join(', ')

  const rowsOf = async (text: string, parameters: readonly (string | readonly string[])[]) => {
    const raw = (await source
      .unsafe(text, parameters as string[])
      .raw()) as unknown as readonly (readonly (Buffer | null)[])[]
    return raw.map((row) => row.map((bytes) => (bytes === null ? null : textOfBytes(bytes))))
  }
  const decoded = (row: readonly (string | null)[]): SourceRow[] => {
    const made = rowOf({ entity, table, described, decoder }, row)
    return made ? [made] : []
  }
  return {
    async page(after, size) {
      const behind = keys.map(({ sqlType }, i) => `$${i + 1}::text::${sqlType}`).join(', ')
      const where = after === null ? '' : `where (${own}) > (${behind})`
      const rows = await rowsOf(
        `select ${list}, t.xmin::text from ${tableSql(described)} t ${where} order by ${own} limit ${size}`,
        after ?? [],
      )
      const last = rows.length < size ? undefined : rows.at(-1)
      return {
        rows: rows.flatMap(decoded),
        last: last ? keys.map((key) => last[described.columns.indexOf(key)]!) : null,
      }
    },
    async byKeys(asked) {
      const match = keys.map(({ name, sqlType }, i) => `t.${ident(name)} = ${keyText(places[i]!, sqlType, judges)}`)
      const rows = await rowsOf(
        `select x.* from json_array_elements($1::text::json) k cross join lateral (
           select ${list}, t.xmin::text from ${tableSql(described)} t where ${match.join(' and ')} offset 0) x`,
        [`[${asked.join(',')}]`],
      )
      return rows.flatMap(decoded)
    },
  }
}

/** What no key of the table can be finds no row, where the server is new enough to say so. */
const keyText = (at: number, sqlType: string, judges: boolean): string => {
  const value = `(k->>${at})::${sqlType}`
  return judges ? `case when pg_input_is_valid(k->>${at}, ${quote(sqlType)}) then ${value} end` : value
}

type Means = {
  readonly entity: Entity
  readonly table: TableSource
  readonly described: PgTable & { readonly columns: readonly PgColumn[] }
  readonly decoder: Decoder
}

/** Undefined where its record could not be read either. */
const rowOf = (
  { entity, table, described, decoder }: Means,
  row: readonly (string | null)[],
): SourceRow | undefined => {
  const cells = row.slice(0, described.columns.length)
  const json = rowJson(described.columns, cells)
  const recordKey = Buffer.from(keyJson(described, cells))
  const value = envelope('r', null, json, { connection: table.connection, table, micros: 0n, snapshot: 'false' })
  const record = {
    topic: entity.source.topic,
    partition: 0,
    offset: 0n,
    timestamp: 0,
    key: recordKey,
    value,
    headers: {},
  }
  const change = decoder
    .decode(record, 0)
    .flatMap((one) => (one.kind === 'changes' ? one.changes : []))
    .find((one) => one.entity === entity.name)
  const stamp = `${row.at(-1)} ${createHash('sha256').update(json).digest('base64')}`
  return change && { change, stamp, recordKey }
}
