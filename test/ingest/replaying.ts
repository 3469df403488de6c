/** A shop on the journal with all of ingest at work, and replays asked for as the command line does. */
import { expect } from 'vitest'
import { createApplier } from '../../src/ingest/apply/apply.ts'
import { itemOf } from '../../src/ingest/apply/stretch.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import { registerViews } from '../../src/ingest/generations.ts'
import { startIngest } from '../../src/ingest/main.ts'
import { noRegistry } from '../../src/ingest/registry/open.ts'
import { runJob } from '../../src/ingest/replay/run.ts'
import { append, createTopics, journalSource } from '../../src/ingest/source/journal.ts'
import { claimPositions } from '../../src/ingest/source/positions.ts'
import type { Model } from '../../src/model/model.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { type Replay, readReplays, requestReplay } from '../../src/operate/replay/jobs.ts'
import { readConfig } from '../../src/platform/config.ts'
import { connect } from '../../src/platform/postgres.ts'
import { until } from '../kafka/client.ts'
import { loadModel } from '../law/model.ts'
import { freshDatabase } from '../support/postgres.ts'

/** `more`: fields that the schema folder gets later; the log has them from the beginning. */
export const shop = (more = '', view = ''): string => `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "test")
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  name: String!
  ${more}
}
type CustomerCard @view(of: "Customer", maxLag: "PT5S") @allow(roles: [READER]) { id: ID! name: String! ${view} }
`
export const withRegion = shop('region: String', 'region: String')

type Row = { readonly id: string } & Readonly<Record<string, unknown>>
/** As Debezium sends them: an insert or update, a delete (a row of nothing but its key), a read of an incremental snapshot. */
export const change = (row: Row, lsn: number, op: 'c' | 'u' | 'd' | 'r' = 'u') => ({
  key: Buffer.from(JSON.stringify({ id: row.id })),
  value: Buffer.from(
    JSON.stringify({
      op,
      before: op === 'd' ? row : null,
      after: op === 'd' ? null : { name: 'Ann', region: 'north', ...row },
      source: {
        lsn: op === 'r' ? null : lsn,
        snapshot: op === 'r' ? 'incremental' : 'false',
        ts_us: 1_790_000_000_000_000 + lsn,
      },
    }),
  ),
})
export const customers = (from: number, to: number, more: Readonly<Record<string, unknown>> = {}) =>
  Array.from({ length: to - from }, (_, i) => change({ id: `c${from + i}`, ...more }, 1_000 + from + i, 'c'))

export const openShop = async (partitions = 2) => {
  const { sql, url, drop } = await freshDatabase()
  const closing: (() => Promise<unknown>)[] = [drop]
  const install = async (text: string): Promise<Model> => {
    const model = await loadModel(text)
    await installModel(sql, model)
    await createTopics(sql, ['customers'], partitions)
    return model
  }
  const start = async (model: Model) => {
    const pool = connect(url, { max: 5, name: 'ingest' })
    const config = { ...readConfig({}), databaseUrl: url }
    const ingest = await startIngest({ config, model, sql: pool, failed: () => {} })
    let running = true
    const stop = async (): Promise<void> => {
      if (!running) return
      running = false
      await ingest.stop()
      await pool.end({ timeout: 1 })
    }
    closing.push(stop)
    return { stop }
  }
  const replay = async (id: number): Promise<Replay> => (await readReplays(sql, id))[0]!
  return {
    sql,
    url,
    install,
    start,
    replay,
    put: (...records: ReturnType<typeof change>[]) => sql.begin((tx) => append(tx, 'customers', records)),
    /** Until live has applied all that is in the log, its views are rewritten, and none is being built. */
    caughtUp: () =>
      until(async () => {
        const [row] = await sql<{ quiet: boolean }[]>`
          select not exists (select from forebay.dirty) and not exists (
            select from forebay.generations where retired_at is null and (filled_at is null or state in ('BUILDING', 'PROVEN')))
            and not exists (
            select from forebay.journal_ends e left join forebay.positions p using (topic, partition)
            where p.next_offset is distinct from e.next_offset) as quiet`
        return row!.quiet
      }, 'all applied'),
    ask: (since: string) => requestReplay(sql, 'Customer', 'customers', since),
    /** How it ended. */
    async ended(id: number): Promise<Replay> {
      await until(async () => (await replay(id)).state !== 'RUNNING', `replay ${id} ends`)
      return replay(id)
    },
    async close() {
      for (const close of closing.reverse()) await close()
    },
  }
}
export type Shop = Awaited<ReturnType<typeof openShop>>

/** Nothing at work by itself: live and replay each go when told, and a replay can be stopped before each of its batches. */
export const openStill = async (text = withRegion) => {
  const shop = await openShop(1)
  const { sql, url } = shop
  const model = await shop.install(text)
  const catalog = await registerViews(sql, model)
  const decoder = createDecoder(model)
  const source = journalSource({ sql, topics: decoder.topics })
  const live = createApplier(sql, model, catalog)
  const one = connect(url, { max: 1, name: 'replay' })
  const signal = new AbortController().signal
  await claimPositions(sql, await source.extents())
  return {
    ...shop,
    model,
    catalog,
    source,
    /** Applies all that the log has. */
    async live() {
      const [row] = await sql<{ next: string; end: string }[]>`
        select p.next_offset as next, e.next_offset as end
        from forebay.positions p join forebay.journal_ends e using (topic, partition)`
      const range = { topic: 'customers', partition: 0, from: BigInt(row!.next), until: BigInt(row!.end) }
      for await (const { records, ...batch } of source.reread([range], signal)) {
        const items = records.map((record) => itemOf(record, decoder.decode(record, 0)))
        expect(await live.apply([{ ...batch, epoch: 0, items }])).toMatchObject({ kind: 'applied' })
      }
    },
    /** Asks for a replay and works it; `turn` is called between reading a batch and writing it. */
    async run(since: string, turn: () => Promise<void> = async () => {}) {
      const id = await shop.ask(since)
      const job = { id, entity: 'Customer', topic: 'customers', since }
      const options = { sql: one, model, catalog, decoder, schemas: noRegistry, source, applied: () => {}, signal }
      const result = await runJob(job, options, () => ({ turn, duty: () => 1 }))
      return { result, ...(await shop.replay(id)) }
    },
    async close() {
      await one.end({ timeout: 1 })
      await shop.close()
    },
  }
}
export type Still = Awaited<ReturnType<typeof openStill>>
