/**
 * The real chain: the shop writes SQL to a source Postgres, Debezium on Kafka Connect streams it to a broker, Forebay's halves
 * run as processes of their own with Redis and a Postgres 18. Each view must then equal a query of the source, written by hand.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectorConfig } from '../../docker/connectors.ts'
import { connectors } from '../../schema/simulation/source-sql.ts'
import { loadSchema } from '../../src/model/load.ts'
import type { Model } from '../../src/model/model.ts'
import { quote } from '../../src/model/names.ts'
import { viewTable } from '../../src/model/sql/compile-view.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { type Child, freePorts, ready, startChild } from '../support/child.ts'
import { type ConnectService, startConnect } from '../support/connect.ts'
import { run } from '../support/find.ts'
import { startKafka } from '../support/kafka.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { ownRedis, type RedisService } from '../support/redis.ts'
import { startSourcePostgres } from '../support/source-postgres.ts'

const root = join(import.meta.dirname, '../..')
const views = [
  'CustomerOverview',
  'OrderTimeline',
  'FulfilmentBoard',
  'StockPosition',
  'ApiClientQuota',
  'FlagState',
  'ServiceImpact',
  'CustomerProfile',
] as const
const steps = 1_200

let model: Model
let source: Sql
let database: Database
let redis: RedisService
let brokers: string[]
let environment: Record<string, string>
let ports: { ingest: number; gateway: number }
const ends: (() => Promise<unknown>)[] = []
const later = <T extends { stop(): Promise<unknown> }>(service: T): T => {
  ends.push(() => service.stop())
  return service
}

beforeAll(async () => {
  const loaded = await loadSchema(join(root, 'schema'))
  if (!loaded.ok) throw new Error('the reference schema has faults')
  model = loaded.model
  const dataDir = await mkdtemp(join(tmpdir(), 'forebay-chain-'))
  ends.push(() => rm(dataDir, { recursive: true, force: true }))
  const [kafka, postgres] = await Promise.all([startKafka({ partitions: 4 }), startSourcePostgres()])
  later(kafka)
  later(postgres)
  redis = later(await ownRedis())
  database = await freshDatabase()
  ends.push(() => database.drop())
  source = connect(postgres.url, { max: 4, name: 'chain' })
  ends.push(() => source.end())
  brokers = kafka.brokers
  const [ingest, gateway] = (await freePorts(2)) as [number, number]
  ports = { ingest, gateway }
  environment = {
    DATABASE_URL: database.url,
    KAFKA_BROKERS: brokers.join(','),
    REDIS_URL: redis.url,
    SOURCE_DATABASE_URL: postgres.url,
    FOREBAY_SCHEMA: join(root, 'schema'),
    FOREBAY_DATA: dataDir,
  }
  await forebay('migrate')
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

/** Runs a verb to its end and answers what it printed. */
async function forebay(...args: string[]): Promise<string> {
  const env = { ...process.env, ...environment }
  const { stdout } = await run(process.execPath, [join(root, 'src/cli.ts'), ...args], { env, cwd: root })
  return stdout.trim()
}

/** Starts one half and waits until it answers. */
async function start(half: 'ingest' | 'gateway'): Promise<Child> {
  const port = ports[half]
  const child = startChild(process.execPath, [join(root, 'src/cli.ts'), half], {
    cwd: root,
    env: { ...environment, PORT: String(port) },
  })
  await ready(half, child, async () => {
    const { status } = await fetch(`http://127.0.0.1:${port}/healthz`)
    expect(status).toBe(200)
  })
  return child
}

type Row = { tenant: string | null; key: string; row: Record<string, unknown> }
const byKey = (rows: readonly Row[]): Record<string, unknown> =>
  Object.fromEntries(rows.map(({ tenant, key, row }) => [`${tenant} ${key}`, row]))

/** What the view's table holds, in answer form. A row that lacks something promised has no place in a quiet chain. */
async function held(view: string): Promise<Record<string, unknown>> {
  const definition = model.views.get(view)
  if (!definition) throw new Error(`the reference schema has no view ${view}`)
  const { table, key, columns } = viewTable(model, definition)
  const pairs = columns.map(({ field, answer }) => `${quote(field)}, ${answer}`)
  const keys = key.map(({ column }) => `"${column}"`).join(" || '/' || ")
  const query = `select _tenant as tenant, ${keys} as key, jsonb_build_object(${pairs.join(', ')}) as row from ${table} v where not _incomplete`
  return byKey(await database.sql.unsafe<Row[]>(query))
}

/** What the source database says it should hold. */
async function expected(view: string): Promise<Record<string, unknown>> {
  const name = view.replace(/(?<=.)[A-Z]/g, '-$&').toLowerCase()
  return byKey(
    await source.unsafe<Row[]>(await readFile(join(import.meta.dirname, 'source-views', `${name}.sql`), 'utf8')),
  )
}

/** How answers write a moment, and an enum's text. */
const functions = `
  create or replace function iso(at timestamptz) returns text language sql immutable return
    rtrim(rtrim(to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z';
  create or replace function code(value text) returns text language sql immutable return
    upper(translate(value, '- ', '__'))`

/** Waits until every view equals the source, and then sees that it stays so. */
async function viewsEqualSource(): Promise<void> {
  for (const view of views) {
    const wanted = await expected(view)
    expect(Object.keys(wanted).length).toBeGreaterThan(0)
    await expect.poll(() => held(view), { timeout: 60_000, interval: 500 }).toEqual(wanted)
  }
  await sleep(2_000)
  for (const view of views) expect(await held(view)).toEqual(await expected(view))
}

type Answer = {
  data: Record<string, Record<string, unknown> | null>
  errors?: unknown
  extensions?: Record<string, unknown>
}

const tokens = new Map<string, Promise<string>>()
const tokenOf = (role: string, tenant: string): Promise<string> => {
  const name = `${role} ${tenant}`
  const token = tokens.get(name) ?? forebay('token', '--role', role, '--tenant', tenant)
  tokens.set(name, token)
  return token
}

async function ask(role: string, tenant: string, query: string): Promise<Answer> {
  const token = await tokenOf(role, tenant)
  const response = await fetch(`http://127.0.0.1:${ports.gateway}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query }),
  })
  return (await response.json()) as Answer
}

/** Until a connector has stored an offset of its stream, past its snapshot. */
const streaming = (worker: ConnectService, connector: string): Promise<void> =>
  expect
    .poll(
      async () => {
        const response = await fetch(`${worker.url}/connectors/${connector}/offsets`)
        const { offsets } = (await response.json()) as { offsets?: { offset: Record<string, unknown> | null }[] }
        return offsets?.some(({ offset }) => offset?.lsn !== undefined && !offset.snapshot) ?? false
      },
      { timeout: 30_000, interval: 250, message: `${connector} streams` },
    )
    .toBe(true)

describe('from SQL at the source to a masked answer', () => {
  let ingest: Child

  test('each view equals the source, though ingest and Kafka Connect were killed while the shop worked', async () => {
    const group = 'chain-connect'
    let worker: ConnectService = await startConnect({ brokers, group })
    ends.push(() => worker.kill9())
    const shop = later(
      startChild(process.execPath, [join(root, 'docker/shop.ts')], {
        env: { ...environment, SHOP_SIZE: 'tiny', SHOP_SEED: '11', SHOP_STEPS: String(steps), SHOP_RATE: '60' },
      }),
    )
    await ready('The shop', shop, async () => expect(shop.output()).toContain('seeded'))
    await source.unsafe(functions)
    ingest = await start('ingest')
    ends.push(() => ingest.stop())
    for (const { prefix, tables } of connectors)
      await worker.createConnector(
        prefix,
        connectorConfig(prefix, tables, new URL(environment.SOURCE_DATABASE_URL ?? '')),
      )

    await changesApplied(500)
    await ingest.kill9()
    ingest = await start('ingest')
    // Killed before it has stored where its stream is, a connector takes its snapshot anew, and never sends what was deleted meanwhile.
    for (const { prefix } of connectors) await streaming(worker, prefix)
    expect(shop.alive(), 'the shop still works when Connect is killed').toBe(true)
    await worker.kill9()
    worker = await startConnect({ brokers, group })
    for (const { prefix } of connectors) await worker.running(prefix)

    expect(await shop.ended, shop.output()).toBe(0)
    await viewsEqualSource()
    expect(await duplicates(), 'Connect repeated changes after its death').toBeGreaterThan(0)
  }, 240_000)

  test('an agent gets the row of the source with its contact data masked, a fraud analyst gets it clear', async () => {
    const gateway = later(await start('gateway'))
    const [customer] = await source<
      { id: string; tenant_id: string; email: string; full_name: string; tier: string }[]
    >`
      select c.* from customers c where closed_at is null and exists (select from orders o where o.customer_id = c.id) order by id limit 1`
    if (!customer) throw new Error('the shop has no customer with an order')
    const query = `{ customerOverview(id: "${customer.id}") { id email fullName tier orderCount recentOrders { id total lines { product amount } } } }`
    const row = (await expected('CustomerOverview'))[`${customer.tenant_id} ${customer.id}`] as Record<string, unknown>
    const shown = { id: row.id, fullName: row.fullName, tier: row.tier, orderCount: row.orderCount }
    const recentOrders = (
      row.recentOrders as { id: string; total: string; lines: { product: string; amount: string }[] }[]
    ).map(({ id, total, lines }) => ({ id, total, lines: lines.map(({ product, amount }) => ({ product, amount })) }))

    const fraud = await ask('FRAUD', customer.tenant_id, query)
    expect(fraud.data?.customerOverview, gateway.output()).toEqual({ ...shown, email: customer.email, recentOrders })
    const agent = await ask('AGENT', customer.tenant_id, query)
    const [local = '', domain = ''] = customer.email.split('@')
    const masked = `${local[0]}***@${domain[0]}***${domain.slice(domain.lastIndexOf('.'))}`
    expect(agent.data?.customerOverview).toEqual({ ...shown, email: masked, recentOrders })
    expect(agent.extensions?.freshness).toMatchObject({ views: expect.anything() })

    const other = customer.tenant_id === 'acme' ? 'globex' : 'acme'
    expect((await ask('FRAUD', other, query)).data?.customerOverview).toBeNull()

    await redis.kill9()
    expect((await ask('FRAUD', customer.tenant_id, query)).data?.customerOverview).toEqual(fraud.data?.customerOverview)
  })
})

/** Changes that ingest has dropped since it started because it had them. */
async function duplicates(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${ports.ingest}/metrics`)).text()
  const counts = text.matchAll(/^forebay_changes_dropped_total\{reason="duplicate",entity="\w+"\} (\d+)/gm)
  return [...counts].reduce((total, [, count]) => total + Number(count), 0)
}

/** Waits until Forebay has applied so many records. */
async function changesApplied(count: number): Promise<void> {
  const applied = async (): Promise<number> => {
    const [row] = await database.sql<
      { n: number }[]
    >`select coalesce(sum(next_offset), 0)::int as n from forebay.positions`
    return row?.n ?? 0
  }
  await expect.poll(applied, { timeout: 90_000, interval: 200 }).toBeGreaterThan(count)
}
