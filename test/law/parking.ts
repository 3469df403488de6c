/** A shop whose first schema folder doesn't know a tier that its source sends, the folder that mends it, and logs to apply under either. */

import type { ApplyResult } from '../../src/ingest/apply/apply.ts'
import { createApplier } from '../../src/ingest/apply/apply.ts'
import { createRedriver } from '../../src/ingest/apply/redrive.ts'
import type { LogRecord } from '../../src/ingest/change.ts'
import { createDecoder, type Decoder } from '../../src/ingest/decode.ts'
import type { Announced } from '../../src/ingest/maintain/change-feed.ts'
import { startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import type { Model } from '../../src/model/model.ts'
import type { Means } from '../../src/operate/quarantine/act.ts'
import { connect } from '../../src/platform/postgres.ts'
import { type Engine, openEngine } from './engine.ts'
import { loadModel } from './model.ts'
import { stretchOf } from './stretch.ts'

/** `SILVER` is what only the mended folder knows. */
export const folder = (tiers: string): string => `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "law")
enum Tier { ${tiers} }
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  name: String!
  tier: Tier
  orders: [Order!]! @join(to: "customerId")
  contact: Contact @join(from: "id")
}
type Contact @entity(domain: "shop", key: "id", source: { topic: "customers" }) { id: ID!, name: String! }
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  customerId: ID
  customer: Customer @join(from: "customerId")
  tier: Tier
  total: Int!
}
type Reading @entity(domain: "shop", key: "id", conflict: EVENT_TIME, source: { topic: "readings" }) { id: ID!, tier: Tier, celsius: Int! }
type Tagged @entity(domain: "shop", key: ["id", "tag"], source: { topic: "tagged", each: "tags" }) { id: ID!, tag: String!, tier: Tier }
type CustomerFile @view(of: "Customer") @allow(roles: [READER]) {
  id: ID!
  name: String!
  tier: Tier
  orders: Int! @count(of: "orders")
  spent: Long! @sum(of: "orders.total")
}
type OrderFile @view(of: "Order") @allow(roles: [READER]) { id: ID!, total: Int!, buyer: String @from(path: "customer.name") }
`
/** Debezium's stand-in for a value that it wasn't sent. */
export const UNSENT = '__debezium_unavailable_value'

type Row = Readonly<Record<string, unknown>>
type More = Partial<LogRecord> & { readonly lsn?: number; readonly op?: string }
export type Draft = { readonly topic: string; readonly row: Row; readonly more: More }
const draft = (topic: string, row: Row, more: More = {}): Draft => ({ topic, row, more })
export const customer = (id: string, row: Row = {}, more?: More) =>
  draft('customers', { id, name: 'Ann', tier: 'GOLD', ...row }, more)
export const order = (id: string, customerId: string | null, row: Row = {}, more?: More) =>
  draft('orders', { id, customer_id: customerId, tier: 'GOLD', total: 1, ...row }, more)
export const reading = (id: string, celsius: number, row: Row = {}, more?: More) =>
  draft('readings', { id, tier: 'GOLD', celsius, ...row }, more)
export const tagged = (id: string, tags: readonly Row[], more?: More) => draft('tagged', { id, tags }, more)
export const gone = (topic: string, id: string): Draft => draft(topic, { id }, { op: 'd' })

export type Parking = Engine & {
  readonly broken: Decoder
  readonly mended: Decoder
  readonly mendedModel: Model
  /** The next batch of a partition of one topic; `decoder`: the broken folder's. */
  apply(
    drafts: readonly Draft[],
    options?: { partition?: number; decoder?: Decoder; epoch?: number },
  ): Promise<ApplyResult>
  /** The records of one partition as its log has them, from the first. */
  log(topic: string, partition?: number): readonly LogRecord[]
  /** Moves a partition's position back, as a replay does: the next `apply` begins there. */
  back(topic: string, offset: bigint, partition?: number): Promise<void>
  /** An operator's means, with the folder mended or not; on a connection pool of its own where one is given. */
  means(decoder?: Decoder, sql?: Engine['database']['sql']): Means
  /** Rounds of maintenance until there is nothing to do. */
  /** `published`: see startMaintainer. */
  drain(published?: (announced: Announced) => Promise<void>): Promise<void>
  /** `offset state`, in the order of the log. */
  states(topic?: string): Promise<readonly string[]>
}

export const openParking = async (): Promise<Parking> => {
  const model = await loadModel(folder('BASIC GOLD'))
  const mendedModel = await loadModel(folder('BASIC GOLD SILVER'))
  const engine = await openEngine(model)
  const { database, catalog } = engine
  const [broken, mended] = [createDecoder(model), createDecoder(mendedModel)]
  const logs = new Map<string, LogRecord[]>()
  const next = new Map<string, bigint>()
  const logOf = (topic: string, partition = 0): LogRecord[] => {
    const name = `${topic}-${partition}`
    const log = logs.get(name) ?? []
    logs.set(name, log)
    return log
  }
  return {
    ...engine,
    broken,
    mended,
    mendedModel,
    log: logOf,
    async apply(drafts, { partition = 0, decoder = broken, epoch = 0 } = {}) {
      const { topic } = drafts[0]!
      const log = logOf(topic, partition)
      const from = next.get(`${topic}-${partition}`) ?? BigInt(log.length)
      if (from === 0n)
        await database.sql`
          insert into forebay.positions (topic, partition, next_offset, epoch) values (${topic}, ${partition}, 0, ${epoch}) on conflict do nothing`
      for (const one of drafts) log.push(recordOf(one, partition, log.length))
      const records = log.slice(Number(from))
      next.delete(`${topic}-${partition}`)
      return createApplier(database.sql, model, catalog).apply([stretchOf(decoder, records, from, epoch)])
    },
    async back(topic, offset, partition = 0) {
      await database.sql`
        update forebay.positions set next_offset = ${String(offset)} where topic = ${topic} and partition = ${partition}`
      next.set(`${topic}-${partition}`, offset)
    },
    means: (decoder = mended, sql = database.sql) => ({
      sql,
      decoder,
      redriver: createRedriver(sql, decoder === mended ? mendedModel : model, catalog, decoder),
    }),
    async drain(published = async () => {}) {
      const sql = connect(database.url, { max: 1, name: 'maintainer' })
      const maintainer = startMaintainer({ sql, catalog, published, auto: false })
      while ((await maintainer.round()).entries > 0);
      await maintainer.stop()
      await sql.end({ timeout: 1 })
    },
    async states(topic = 'customers') {
      const rows = await database.sql<{ said: string }[]>`
        select "offset" || ' ' || state as said from forebay.quarantine where topic = ${topic} order by partition, "offset", entity`
      return rows.map(({ said }) => said)
    },
  }
}

const recordOf = ({ topic, row, more }: Draft, partition: number, offset: number): LogRecord => {
  const { lsn = offset + 1, op = 'u', ...rest } = more
  const image = op === 'd' ? { before: row, after: null } : { before: null, after: row }
  return {
    topic,
    partition,
    offset: BigInt(offset),
    timestamp: 1_790_000_000_000,
    headers: {},
    key: Buffer.from(JSON.stringify({ id: row.id })),
    value: Buffer.from(JSON.stringify({ op, ...image, source: { lsn, ts_us: 1_790_000_000_000_000 + lsn } })),
    ...rest,
  }
}
