/** A pump on a real Postgres over a log in memory, with a small shop to fill, and the means to hold its applier. */
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import { type Applied, createApplier } from '../../src/ingest/apply/apply.ts'
import { createRedriver } from '../../src/ingest/apply/redrive.ts'
import type { LogRecord } from '../../src/ingest/change.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import { type Catalog, registerViews } from '../../src/ingest/generations.ts'
import { decodeReady } from '../../src/ingest/pump/block.ts'
import { type Pump, startPump } from '../../src/ingest/pump/pump.ts'
import { noRegistry } from '../../src/ingest/registry/open.ts'
import type { SchemaStore } from '../../src/ingest/registry/schemas.ts'
import type { Model } from '../../src/model/model.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import type { Means } from '../../src/operate/quarantine/act.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { until } from '../kafka/client.ts'
import { loadModel } from '../law/model.ts'
import { untilBlocked } from '../law/stage.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import type { MemorySource } from './memory-source.ts'

export const SHOP = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "test")
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  tenantId: ID! @tenant
  name: String!
  region: String
  data: JSON
  orders: [Order!]! @join(from: "region", to: "region")
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  tenantId: ID! @tenant
  region: String
  total: Int!
}
type CustomerFile @view(of: "Customer") @allow(roles: [READER]) { id: ID!, name: String!, orders: Int! @count(of: "orders") }
`
/** As Debezium sends it. */
const record = (
  topic: 'customers' | 'orders',
  offset: number,
  row: Readonly<Record<string, unknown>>,
  more: Partial<LogRecord> & { readonly lsn?: number; readonly at?: number } = {},
): LogRecord => {
  const { lsn = offset + 1, at = 1_790_000_000_000_000 + lsn, ...rest } = more
  const after =
    topic === 'customers'
      ? { tenant_id: 'acme', name: 'Ann', region: null, data: null, ...row }
      : { tenant_id: 'acme', region: null, total: 1, ...row }
  return {
    topic,
    partition: 0,
    offset: BigInt(offset),
    timestamp: 1_795_000_000_000,
    headers: {},
    key: Buffer.from(JSON.stringify({ id: row.id })),
    value: Buffer.from(JSON.stringify({ op: 'c', before: null, after, source: { lsn, ts_us: at } })),
    ...rest,
  }
}
export const customer = (
  offset: number,
  row: Readonly<Record<string, unknown>>,
  more: Parameters<typeof record>[3] = {},
) => record('customers', offset, row, more)
export const order = (
  offset: number,
  row: Readonly<Record<string, unknown>>,
  more: Parameters<typeof record>[3] = {},
) => record('orders', offset, row, more)
/** A value that no index can hold: Postgres can't make it small. */
export const incompressible = (): string => randomBytes(8_000).toString('base64')

export const CUSTOMERS = { topic: 'customers', partition: 0 }
export const ORDERS = { topic: 'orders', partition: 0 }
export const bothTopics = [CUSTOMERS, ORDERS]

export let database: Database
export let sql: Sql
let model: Model
let catalog: Catalog
const closing: (() => Promise<unknown>)[] = []

/** Gives the test file a database of its own, empty before each test, and stops after each what the test started. */
/** `text`: another declaration of the same entities. */
export const setUpPumps = (text = SHOP): void => {
  beforeAll(async () => {
    database = await freshDatabase()
    sql = database.sql
    model = await loadModel(text)
    await installModel(sql, model)
  })
  beforeEach(async () => {
    await sql`truncate shop.customer, shop.order, forebay.positions, forebay.quarantine, forebay.degraded, forebay.dirty, forebay.schemas`
    catalog = await registerViews(sql, model)
  })
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })
  afterAll(() => database?.drop())
}

type Running = { readonly pump: Pump; readonly applied: readonly Applied[]; readonly failures: readonly string[] }
/** `lanes`: 1 for what must be one batch, see `holdApplier`. */
type More = {
  readonly lanes?: number
  readonly quarantined?: () => Promise<void>
  readonly cap?: number
  readonly schemas?: Omit<SchemaStore, 'load'>
  /** What another schema folder comes to, of the same tables. */
  readonly folder?: Model
}
export const startPumpOn = (
  source: Pick<MemorySource, 'rewind'>,
  { schemas = noRegistry, cap, folder = model, ...more }: More = {},
): Running => {
  const applied: Applied[] = []
  const failures: string[] = []
  const writer = connect(database.url, { max: 2, name: 'apply' })
  const pump = startPump({
    sql,
    source,
    decoder: createDecoder(folder, schemas),
    schemas,
    applier: createApplier(writer, folder, catalog, cap),
    applied: (result) => applied.push(result),
    failed: (reason) => failures.push(reason),
    ...more,
  })
  closing.push(
    () => writer.end({ timeout: 1 }),
    () => pump.stop(),
  )
  return { pump, applied, failures }
}
export const run = async (source: MemorySource, more?: More): Promise<Running> => {
  const running = startPumpOn(source, more)
  closing.push(() => source.stop())
  await source.start(running.pump.sink)
  return running
}
/** Called after the test. */
export const later = (close: () => Promise<unknown>): void => void closing.push(close)
/** An operator's, with this schema folder or that one. */
export const means = ({ schemas = noRegistry, folder = model }: Pick<More, 'schemas' | 'folder'> = {}): Means => {
  const decoder = createDecoder(folder, schemas)
  const ready = (record: LogRecord, epoch: number) => decodeReady(decoder, schemas, record, epoch)
  return { sql, decoder, ready, redriver: createRedriver(sql, folder, catalog, decoder, ready) }
}
export const position = async (topic: string, partition = 0) => {
  const [row] = await sql<{ next: number; state: string; reason: string | null }[]>`
    select next_offset::int as next, state, reason from forebay.positions where topic = ${topic} and partition = ${partition}`
  return row
}
export const untilAt = (topic: string, next: number, partition = 0) =>
  until(async () => (await position(topic, partition))?.next === next, `${topic}-${partition} at ${next}`)
type Stored = { id: string; name: string; tenant_id: string; _version: string; _offset: string }
export const customers = () =>
  sql<Stored[]>`select id, name, tenant_id, _version, _offset from shop.customer order by id`
export const parked = () => sql<
  {
    offset: string
    topic: string
    entity: string
    reason: string
    key: Buffer
    value: Buffer
    headers: object
    at: number
  }[]
>`
  select topic, "offset", entity, reason, key, value, headers, (extract(epoch from record_time) * 1000)::float8 as at
  from forebay.quarantine order by topic, "offset"`

/** A row of forebay.positions that somebody else holds, made if need be. */
export const holdPosition = async ({ topic, partition }: { topic: string; partition: number }) => {
  await sql`insert into forebay.positions (topic, partition, next_offset) values (${topic}, ${partition}, 0) on conflict do nothing`
  const other = connect(database.url, { max: 1, name: 'other' })
  const moved = Promise.withResolvers<number>()
  const began = Promise.withResolvers<void>()
  const transaction = other.begin(async (tx) => {
    await tx`select from forebay.positions where topic = ${topic} and partition = ${partition} for update`
    began.resolve()
    const next = await moved.promise
    await tx`update forebay.positions set next_offset = ${next} where topic = ${topic} and partition = ${partition}`
  })
  await began.promise
  return {
    async moveTo(next: number) {
      moved.resolve(next)
      await transaction
      await other.end({ timeout: 1 })
    },
  }
}

/** Until it is let go, the applier of a pump with one lane stands at an empty batch of a partition of its own, so that what comes meanwhile is one batch. */
export const holdApplier = async ({ pump }: Running) => {
  const gate = { topic: 'gate', partition: 0 }
  const held = await holdPosition(gate)
  await pump.sink.deliver({ ...gate, from: 0n, to: 0n, records: [] })
  await untilBlocked(sql, 1)
  return { release: () => held.moveTo(0) }
}
