/**
 * What a change costs as its key grows: an order is inserted, updated, moved to another customer and deleted, of customers with 10 to a
 * million orders, each applied and maintained by the engine's own rounds; beside what recomputing that customer's
 * aggregates in full takes. Only the rounds are timed: applying knows nothing of the key's size.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApplier } from '../../src/ingest/apply/apply.ts'
import { itemOf } from '../../src/ingest/apply/stretch.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import { registerViews } from '../../src/ingest/generations.ts'
import { startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { byKey, plans } from '../../src/ingest/session-settings.ts'
import { claimPositions } from '../../src/ingest/source/positions.ts'
import { loadSchema } from '../../src/model/load.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { startPostgres } from '../../src/platform/embedded-postgres.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { type Message, message } from './changes.ts'
import { viewTable } from './expected.ts'
import { loadExtremes, mustHaveExtremes } from './extremes.ts'
import { quantile, report } from './report.ts'
import { topics } from './topics.ts'

export type FlatOptions = {
  /** The largest size; each is ten times the one before. */
  readonly most: number
  /** Changes of each kind at each size. */
  readonly changes: number
  /** With a payment for each order, and views of the extremes of groups and over two joins. */
  readonly extremes: boolean
}
const kinds = ['insert', 'update', 'move', 'delete'] as const
type Kind = (typeof kinds)[number]
type AtSize = { readonly size: number; readonly full: number } & Readonly<Record<Kind, number>>

const smallest = 10
const batch = 10_000
const warm = 20
const other = 'other'
const named = (size: number): string => `with-${size}`

export const benchFlat = async ({ most, changes, extremes }: FlatOptions): Promise<void> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'forebay-flat-'))
  const postgres = await startPostgres({ dataDir })
  const sql = connect(postgres.url, { max: 4, name: 'bench', settings: plans })
  const own = connect(postgres.url, { max: 1, name: 'maintain', settings: { ...plans, ...byKey } })
  try {
    const engine = await openEngine(sql, own, extremes)
    const sizes: number[] = []
    for (let size = smallest; size <= most; size *= 10) sizes.push(size)
    await engine.take([other, ...sizes.map(named)].map(customer))
    for (const size of sizes)
      for (let held = 0; held < size; held += batch) {
        const count = Math.min(batch, size - held)
        const numbers = Array.from({ length: count }, (_, n) => held + n)
        await engine.take(numbers.map((n) => order(n, named(size))))
        if (extremes) await engine.take(numbers.map((n) => payment(`${named(size)}-${n}`, n)))
      }
    // Those of the orders that are changed are the least and the greatest by turns.
    const ofChanged = (size: number) =>
      Array.from({ length: 50 }, (_, n) => payment(changedOf(size, n), n % 2 ? most + n : -n))
    if (extremes) await engine.take(sizes.flatMap(ofChanged))
    await sql.unsafe('vacuum analyze')
    const times = await measureKinds(engine, sizes, changes)
    const found: AtSize[] = []
    for (const size of sizes) {
      await mustEqual(sql, size)
      if (extremes) await mustHaveExtremes(sql, named(size))
      found.push({ size, ...times.get(size)!, full: await fullAggregate(sql, size, changes) })
    }
    const [first, last] = [found[0]!, found.at(-1)!]
    report(
      'flat',
      [
        ...found.flatMap(({ size, full, ...times }) =>
          kinds.map((kind) => ({
            name: `${kind} at ${size.toLocaleString('en')} children`,
            value: times[kind],
            unit: 'ms a round',
            against: `aggregates in full: ${full.toFixed(2)} ms`,
          })),
        ),
        { name: 'load of the machine', value: loadavg()[0]!, unit: `runnable, on ${availableParallelism()} cores` },
      ],
      kinds.map((kind) => ({
        name: `${kind} at ${last.size.toLocaleString('en')} over at ${first.size}`,
        value: last[kind] / first[kind],
        most: 1.2,
      })),
    )
  } finally {
    await own.end({ timeout: 1 })
    await sql.end({ timeout: 1 })
    await postgres.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

type Engine = {
  /** Applies, and maintains until nothing is pending; answers with the milliseconds of maintenance. */
  take(messages: readonly Message[]): Promise<number>
}
const openEngine = async (sql: Sql, own: Sql, extremes: boolean): Promise<Engine> => {
  const loaded = await (extremes ? loadExtremes() : loadSchema(join(import.meta.dirname, 'schema')))
  if (!loaded.ok) throw new Error('the bench schema has faults: forebay check says which')
  const { model } = loaded
  await installModel(sql, model)
  const catalog = await registerViews(sql, model)
  const applier = createApplier(sql, model, catalog)
  const decoder = createDecoder(model)
  const maintainer = startMaintainer({ sql: own, catalog, published: async () => {}, auto: false })
  await claimPositions(
    sql,
    topics.map((topic) => ({ topic, partition: 0, start: 0n, end: 0n })),
  )
  const next = new Map(topics.map((topic) => [topic, 0n]))
  const stretchOf = (topic: string, messages: readonly Message[]) => {
    const from = next.get(topic)!
    const items = messages.map(({ key, value }, n) => {
      const bytes = { key: Buffer.from(key), value: Buffer.from(value) }
      const record = { topic, partition: 0, offset: from + BigInt(n), timestamp: Date.now(), headers: {}, ...bytes }
      return itemOf(record, decoder.decode(record, 0))
    })
    const to = from + BigInt(items.length)
    next.set(topic, to)
    return { topic, partition: 0, from, to, epoch: 0, items }
  }
  return {
    async take(messages) {
      const stretches = [...Map.groupBy(messages, ({ topic }) => topic)].map(([topic, some]) => stretchOf(topic, some))
      const { kind } = await applier.apply(stretches)
      if (kind !== 'applied') throw new Error(`the batch was not applied: ${kind}`)
      const began = performance.now()
      let ms = 0
      for (;;) {
        const { entries } = await maintainer.round(2 * batch)
        if (entries === 0) return ms
        // The round that finds nothing is no part of the change.
        ms = performance.now() - began
      }
    },
  }
}

let lsn = 1_000
const at = Date.UTC(2026, 0, 1)
const next = () => (lsn += 100)
const customer = (id: string): Message =>
  message({
    table: 'customers',
    op: 'u',
    at,
    lsn: next(),
    row: { id, tenant_id: 'acme', email: `${id}@example.org`, full_name: id, tier: 'GOLD', note: null },
  })
/** Orders are placed one after the other, so those that are changed here are among the newest, which the view lists. */
const order = (n: number, of: string, status = 'PAID', op: 'u' | 'd' = 'u', id = `${of}-${n}`): Message => {
  const row = { id, tenant_id: 'acme', customer_id: of, status, total: '10.50', placed_at: iso(at + n * 1_000) }
  return message({ table: 'orders', op, at, lsn: next(), row })
}
const payment = (orderId: string, n: number): Message => {
  const paid = { status: 'CAPTURED', amount: (n / 100).toFixed(2), created_at: iso(at) }
  return message({
    table: 'payments',
    op: 'u',
    at,
    lsn: next(),
    row: { id: `p-${orderId}`, tenant_id: 'acme', order_id: orderId, ...paid },
  })
}
const changedOf = (size: number, n: number): string => `${named(size)}-changed-${n}`
const iso = (ms: number): string => new Date(ms).toISOString()

/**
 * The median of each kind at each size, all in turn, so that a machine that gets slower does so for all. What they add they take away.
 */
const measureKinds = async (engine: Engine, sizes: readonly number[], changes: number) => {
  const times = new Map(sizes.map((size) => [size, new Map<Kind, number[]>(kinds.map((kind) => [kind, []]))]))
  for (let n = -warm; n < changes; n++)
    for (const size of sizes) {
      const [one, id] = [2_000_000 + n, changedOf(size, (n + warm) % 50)]
      // Made when they are sent: each is newer than the one before.
      const steps: Readonly<Record<Kind, () => Message>> = {
        insert: () => order(one, named(size), 'PAID', 'u', id),
        update: () => order(one, named(size), 'CANCELLED', 'u', id),
        move: () => order(one, other, 'CANCELLED', 'u', id),
        delete: () => order(one, named(size), 'CANCELLED', 'd', id),
      }
      for (const kind of kinds) {
        // What has moved away comes back first: it is the large key's row that is deleted.
        if (kind === 'delete') await engine.take([order(one, named(size), 'CANCELLED', 'u', id)])
        const ms = await engine.take([steps[kind]()])
        if (n >= 0) times.get(size)!.get(kind)!.push(ms)
      }
    }
  const medians = (of: ReadonlyMap<Kind, number[]>) => {
    const median = (kind: Kind): number => quantile(of.get(kind)!, 0.5)
    return { insert: median('insert'), update: median('update'), move: median('move'), delete: median('delete') }
  }
  return new Map([...times].map(([size, of]) => [size, medians(of)]))
}

const aggregates = (size: number): string => `
  select count(*)::int as order_count, coalesce(sum(total) filter (where status <> 'CANCELLED'), 0) as spent, max(placed_at) as last_order_at
  from bench."order" where customer_id = '${named(size)}' and tenant_id = 'acme' and _live`
const fullAggregate = async (sql: Sql, size: number, times: number): Promise<number> => {
  const taken: number[] = []
  for (let n = 0; n < Math.min(times, 15); n++) {
    const began = performance.now()
    await sql.unsafe(aggregates(size), [], { prepare: true })
    taken.push(performance.now() - began)
  }
  return quantile(taken, 0.5)
}

const mustEqual = async (sql: Sql, size: number): Promise<void> => {
  const [row] = await sql.unsafe<{ same: boolean; count: number }[]>(`
    select count(*) = 1 and bool_and((v.order_count, v.spent, v.last_order_at) is not distinct from (a.order_count, a.spent, a.last_order_at)) as same,
      max(v.order_count) as count from ${await viewTable(sql)} v, (${aggregates(size)}) a where v.id = '${named(size)}'`)
  if (!row!.same || row!.count !== size)
    throw new Error(`at ${size} children the view's row is other than its query: it counts ${row!.count}`)
}
