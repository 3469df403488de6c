/** Captured records through decoder, pump and apply, over a log in memory, into the tables of a Postgres of its own. */
import { afterEach } from 'vitest'
import { type Applied, createApplier } from '../../src/ingest/apply/apply.ts'
import type { DropReason, LogRecord } from '../../src/ingest/change.ts'
import type { Schemas } from '../../src/ingest/decode/registered.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import { registerViews } from '../../src/ingest/generations.ts'
import { startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { startPump } from '../../src/ingest/pump/pump.ts'
import { noRegistry } from '../../src/ingest/registry/open.ts'
import { partitionName } from '../../src/ingest/source.ts'
import { startSweeper } from '../../src/ingest/sweep.ts'
import { columnName, entityTable, ident } from '../../src/model/names.ts'
import { answerListSql, answerSql, objectSql } from '../../src/model/sql/answer.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { memorySource } from '../ingest/memory-source.ts'
import { until } from '../kafka/client.ts'
import { loadModel } from '../law/model.ts'
import { freshDatabase } from '../support/postgres.ts'

type Row = Readonly<Record<string, unknown>>
export type World = {
  readonly sql: Sql
  /**
   * Appends records, each at its captured offset, or behind the last of its partition where that lies behind it already. Settles once all
   * are applied, or their partition has stopped. Answers with what was not applied, by reason.
   */
  deliver(records: readonly LogRecord[]): Promise<Readonly<Record<DropReason, number>>>
  /** As it was opened. */
  empty(): Promise<void>
  /** Live rows in answer form, by their keys. */
  rows(entity: string): Promise<readonly Row[]>
  /** Rows of a view, worked in by a maintainer. */
  view(view: string): Promise<readonly Row[]>
  /** Takes away what truncates and snapshots left to take; the log's ends are those of what was delivered. */
  sweep(): Promise<number>
  /** What is in quarantine. */
  parked(): Promise<readonly { readonly offset: string; readonly key: string | null; readonly reason: string }[]>
  /** Partitions that don't go on, and why. */
  stopped(): Promise<readonly { readonly partition: string; readonly reason: string }[]>
}

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** `text`: entities and views in a domain `odd`, readable by READER. */
export const openWorld = async (text: string, schemas: Schemas = noRegistry): Promise<World> => {
  const model = await loadModel(
    `extend enum Role { READER }\nextend schema @domain(name: "odd", owner: "facts")\n${text}`,
  )
  const { sql, url, drop } = await freshDatabase()
  closing.push(drop)
  await installModel(sql, model)
  const catalog = await registerViews(sql, model)
  // As the captured connector had them. Partitions that were found later would begin an epoch of their own (C16).
  const topics = [...new Set([...model.entities.values()].map(({ source }) => source.topic))]
  const partitions = topics.flatMap((topic) => [0, 1, 2, 3].map((partition) => ({ topic, partition })))
  const logs = new Map<string, LogRecord[]>()
  const append = (record: LogRecord): LogRecord => {
    const log = logs.get(partitionName(record)) ?? []
    const next = endOf(log)
    const placed = record.offset >= next ? record : { ...record, offset: next }
    logs.set(partitionName(record), [...log, placed])
    return placed
  }
  const ends = () => partitions.map((at) => ({ ...at, start: 0n, end: endOf(logs.get(partitionName(at)) ?? []) }))
  const rowsOf = async (table: string, columns: readonly (readonly [string, string])[], order: string, where: string) =>
    (
      await sql.unsafe<{ row: Row }[]>(
        `select ${objectSql(columns)} as row from ${table} v where ${where} order by ${order}`,
      )
    ).map(({ row }) => row)

  return {
    sql,
    async deliver(records) {
      const dropped = { older: 0, duplicate: 0, truncated: 0, 'not-owner': 0, 'older-fields': 0 }
      for (const record of records) append(record)
      const source = memorySource(partitions)
      source.append(...[...logs.values()].flat())
      const writer = connect(url, { max: 2, name: 'apply' })
      const failures: string[] = []
      const pump = startPump({
        sql,
        source,
        decoder: createDecoder(model, schemas),
        schemas: noRegistry,
        applier: createApplier(writer, model, catalog),
        applied: (result: Applied) => {
          for (const { reason, count } of result.dropped) dropped[reason] += count
        },
        failed: (reason) => failures.push(reason),
      })
      try {
        await source.start(pump.sink)
        await until(async () => failures.length > 0 || (await isThrough(sql, ends())), 'all is applied')
      } finally {
        await source.stop()
        await pump.stop()
        await writer.end({ timeout: 1 })
      }
      if (failures.length > 0) throw new Error(failures.join('; '))
      return dropped
    },
    async empty() {
      logs.clear()
      const tables = [...model.entities.values()].map(entityTable)
      await sql.unsafe(`truncate ${[...tables, ...kept].join(', ')}`)
    },
    rows(name) {
      const entity = model.entities.get(name)!
      const columns = entity.columns.map(({ name, type, list }): [string, string] => {
        const stored = `v.${ident(columnName(name))}`
        return [name, list ? answerListSql(stored, type) : answerSql(stored, type)]
      })
      const order = entity.key.map((key) => ident(columnName(key))).join(', ')
      return rowsOf(entityTable(entity), columns, order, 'not _deleted')
    },
    async view(name) {
      const { table } = catalog.generations.find(({ view }) => view.name === name)!
      const own = connect(url, { max: 1, name: 'maintain' })
      const maintainer = startMaintainer({ sql: own, catalog, published: async () => undefined, auto: false })
      while ((await maintainer.round()).entries > 0);
      await maintainer.stop()
      await own.end({ timeout: 1 })
      const columns = table.columns.map(({ field, answer }): [string, string] => [field, answer])
      const order = table.key.map(({ column }) => ident(column)).join(', ')
      return rowsOf(table.table, columns, order, 'not _incomplete')
    },
    async sweep() {
      const sweeper = startSweeper({
        sql,
        model,
        catalog,
        source: { extents: async () => ends() },
        ttl: 'P30D',
        auto: false,
      })
      const swept = await sweeper.sweep()
      await sweeper.stop()
      return swept
    },
    parked: () => sql`
      select "offset", entity_key as key, reason from forebay.quarantine where state = 'PARKED' order by topic, partition, "offset"`,
    stopped: () => sql`
      select topic || '-' || partition as partition, reason from forebay.positions where reason is not null order by 1`,
  }
}

const endOf = (log: readonly LogRecord[]): bigint => (log.at(-1)?.offset ?? -1n) + 1n

/** What the engine knows of the records that it has applied. */
const kept = ['positions', 'quarantine', 'degraded', 'dirty', 'key_changes', 'floors', 'snapshots', 'documents'].map(
  (name) => `forebay.${name}`,
)

const isThrough = async (sql: Sql, ends: readonly { topic: string; partition: number; end: bigint }[]) => {
  const rows = await sql<{ name: string; next: string; halted: boolean }[]>`
    select topic || '-' || partition as name, next_offset as next, state <> 'RUNNING' or reason is not null as halted from forebay.positions`
  const at = new Map(rows.map((row) => [row.name, row]))
  return ends.every((extent) => {
    const position = at.get(partitionName(extent))
    return position !== undefined && (position.halted || BigInt(position.next) >= extent.end)
  })
}
