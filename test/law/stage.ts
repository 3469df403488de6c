/** A small shop on the real engine, and the means to stop its writers at a chosen point: rows and keys that somebody holds. */
import type { ApplyResult } from '../../src/ingest/apply/apply.ts'
import { type Item, itemOf, type Stretch } from '../../src/ingest/apply/stretch.ts'
import type { CellValue, Change } from '../../src/ingest/change.ts'
import type { Catalog } from '../../src/ingest/generations.ts'
import type { Announced } from '../../src/ingest/maintain/change-feed.ts'
import { type Maintainer, startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { entityTable } from '../../src/model/names.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { present } from '../../src/platform/present.ts'
import { type Engine, openEngine } from './engine.ts'
import { loadModel } from './model.ts'

export const SHOP = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "law")
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  tenantId: ID! @tenant
  name: String!
  orders: [Order!]! @join(to: "customerId")
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  tenantId: ID! @tenant
  customerId: ID
  customer: Customer @join(from: "customerId")
  total: Int!
  lines: [Line!]! @join(to: "orderId")
}
type Line @entity(domain: "shop", key: "id", source: { topic: "lines" }) {
  id: ID!
  tenantId: ID! @tenant
  orderId: ID!
  order: Order @join(from: "orderId")
  units: Int!
}
type Stopper @entity(domain: "shop", key: "id", shared: true, source: { topic: "brakes" }) { id: ID! }
type CustomerOrders @view(of: "Customer") @allow(roles: [READER]) {
  id: ID!
  name: String!
  orders: Int! @count(of: "orders")
  spent: Long! @sum(of: "orders.total")
  units: Long! @sum(of: "orders.lines.units")
  ids: [ID!]! @list(of: "orders.id", first: 5, orderBy: { total: DESC })
}
`

/** A change of one row as decode would give it; version and event time rise together. Nothing but a key: a delete. */
export const change = (entity: string, row: Record<string, CellValue>, version: number): Change => ({
  entity,
  op: Object.keys(row).length === 1 && entity !== 'Stopper' ? 'delete' : 'upsert',
  row,
  absent: [],
  version: { kind: 'ordered', epoch: 0, major: BigInt(version), minor: 1n },
  eventTime: new Date(1_790_000_000_000 + version).toISOString(),
  live: true,
  position: { topic: 'log', partition: 0, offset: 0n },
})
export const customer = (id: string, version: number, name = 'Ann'): Change =>
  change('Customer', { id, tenantId: 'acme', name }, version)
export const order = (id: string, customerId: string | null, version: number, total = 10): Change =>
  change('Order', { id, tenantId: 'acme', customerId, total }, version)
export const line = (id: string, orderId: string, version: number, units = 1): Change =>
  change('Line', { id, tenantId: 'acme', orderId, units }, version)
/** Of the entity whose name is the last, and so the last that a batch writes. */
export const brake = (id: string, version: number): Change => change('Stopper', { id }, version)

export type Stage = Engine & {
  /** These changes as a partition's next batch. */
  stretch(partition: number, changes: readonly Change[]): Stretch
  /** Applies as the owner of one partition of a topic of its own; each partition is another writer. */
  apply(partition: number, ...changes: readonly Change[]): Promise<ApplyResult>
  maintainer(
    published?: (announced: Announced) => Promise<void>,
    catalog?: Catalog,
    wide?: number,
  ): {
    readonly maintainer: Maintainer
    readonly sql: Sql
  }
  /** Rounds by one maintainer, which owns every shard, until the log is empty. */
  drain(budget?: number): Promise<void>
  /** Ends the drainer, so that its shards are free. */
  release(): Promise<void>
  /** A view's row by its key. */
  read(view: string, id: string): Promise<Record<string, unknown> | undefined>
  close(): Promise<void>
}

export const openStage = async (text = SHOP, how: { readonly live?: boolean } = {}): Promise<Stage> => {
  const engine = await openEngine(await loadModel(text), how)
  const { database, catalog } = engine
  const next = new Map<number, bigint>()
  const pools: Sql[] = []
  const maintainer: Stage['maintainer'] = (published = async () => undefined, known = catalog, wide) => {
    const sql = connect(database.url, { max: 1, name: 'maintainer' })
    pools.push(sql)
    return { sql, maintainer: startMaintainer({ sql, catalog: known, published, auto: false, ...present({ wide }) }) }
  }
  const stretch: Stage['stretch'] = (partition, changes) => {
    const from = next.get(partition) ?? 0n
    const items = changes.map((change, i): Item => {
      const position = { topic: 'log', partition, offset: from + BigInt(i) }
      const record = { ...position, timestamp: 0, key: null, value: null, headers: {} }
      return { ...itemOf(record, []), changes: [{ ...change, position }] }
    })
    return { topic: 'log', partition, from, to: from + BigInt(changes.length), epoch: 0, items }
  }
  let drainer: ReturnType<Stage['maintainer']> | undefined
  return {
    ...engine,
    maintainer,
    stretch,
    async apply(partition, ...changes) {
      if (!next.has(partition))
        await database.sql`insert into forebay.positions (topic, partition, next_offset) values ('log', ${partition}, 0)`
      const batch = stretch(partition, changes)
      next.set(partition, batch.to)
      return engine.applier.apply([batch])
    },
    async drain(budget) {
      drainer ??= maintainer()
      while ((await drainer.maintainer.round(budget)).entries > 0);
    },
    async release() {
      await drainer?.sql.end({ timeout: 1 })
      drainer = undefined
    },
    async read(view, id) {
      const generation = catalog.generations.find(({ table }) => table.view === view)!
      const [row] = await database.sql.unsafe(`select * from ${generation.table.table} where id = $1`, [id])
      return row
    },
    async close() {
      for (const sql of pools) await sql.end({ timeout: 1 })
      await database.drop()
    },
  }
}

/** Somebody else's transaction, which keeps hold of what it has read `for update` until it is let go. */
export const hold = async (url: string, statement: string): Promise<{ release(): Promise<void> }> => {
  const sql = connect(url, { max: 1, name: 'holder' })
  const held = Promise.withResolvers<void>()
  const letGo = Promise.withResolvers<void>()
  const transaction = sql
    .begin(async (tx) => {
      const rows = await tx.unsafe(statement)
      if (rows.length === 0) throw new Error(`nothing to hold: ${statement}`)
      held.resolve()
      await letGo.promise
    })
    .catch((error: unknown) => held.reject(error))
  await held.promise
  return {
    async release() {
      letGo.resolve()
      await transaction
      await sql.end({ timeout: 1 })
    },
  }
}

/** A writer whose batch ends with this brake stops there, all else written and nothing committed, until it is released. */
export const holdBrake = (stage: Stage, id: string): Promise<{ release(): Promise<void> }> =>
  hold(
    stage.database.url,
    `select * from ${entityTable(stage.model.entities.get('Stopper')!)} where id = '${id}' for update`,
  )

/** Until `count` sessions of this database wait for a lock. */
export const untilBlocked = async (sql: Sql, count: number): Promise<void> => {
  for (let left = 500; left > 0; left--) {
    const [row] = await sql<{ n: number }[]>`
      select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    if (row!.n >= count) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`no ${count} sessions wait for a lock`)
}

/** Likewise, or until `work` is over: then the schedule goes on, and what it comes to tells whether it should have waited. */
export const untilBlockedOrDone = (sql: Sql, count: number, work: Promise<unknown>): Promise<unknown> =>
  Promise.race([untilBlocked(sql, count), work])
