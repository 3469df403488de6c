/** A registry that is away, slow, refuses or does not know: what goes on, what waits, and that nothing is lost. */
import avro from 'avsc'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { LogRecord } from '../../src/ingest/change.ts'
import { type RegistryClient, registryClient } from '../../src/ingest/registry/client.ts'
import { type SchemaStore, schemaStore } from '../../src/ingest/registry/schemas.ts'
import { until } from '../kafka/client.ts'
import { type Registry, startRegistry } from '../support/registry.ts'
import { memorySource } from './memory-source.ts'
import { CUSTOMERS, customers, ORDERS, order, parked, position, run, SHOP, setUpPumps, sql, untilAt } from './pumps.ts'
import { framed } from './registered.ts'

setUpPumps(SHOP.replace('{ topic: "customers" }', '{ topic: "customers", format: AVRO, version: "rev" }'))

const row = (...more: readonly object[]) => ({
  type: 'record',
  name: 'Customer',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'tenant_id', type: 'string' },
    { name: 'name', type: 'string' },
    { name: 'rev', type: 'long' },
    ...more,
  ],
})
const first = row()
const second = row({ name: 'region', type: ['null', 'string'], default: null })

let registry: Registry
let client: RegistryClient
let schemas: SchemaStore
const newStore = (): SchemaStore =>
  schemaStore({ sql, client, registry: 'test', absence: { againMs: 10, keptMs: 60_000 } })
beforeEach(async () => {
  registry = await startRegistry()
  client = registryClient({ urls: [registry.url] }, { timeoutMs: 200 })
  schemas = newStore()
  registry.register('customers-value', first)
})
afterEach(async () => {
  client.close()
  await registry.stop()
})

const customer = (offset: number, id: number, schema: object = first, partition = 0): LogRecord => ({
  ...CUSTOMERS,
  partition,
  offset: BigInt(offset),
  timestamp: 0,
  headers: {},
  key: Buffer.from(JSON.stringify({ id: `c${partition}-${offset}` })),
  value: framed(
    id,
    avro.Type.forSchema(schema as avro.Schema).toBuffer({
      id: `c${partition}-${offset}`,
      tenant_id: 'acme',
      name: 'Ann',
      rev: offset,
      region: 'north',
    }),
  ),
})
const ids = async () => (await customers()).map(({ id }) => id)
const other = { ...CUSTOMERS, partition: 1 }

test('a schema is asked for once, however many records and partitions need it, and kept', async () => {
  const source = memorySource([CUSTOMERS, other])
  source.append(
    ...[0, 1, 2].map((offset) => customer(offset, 1)),
    ...[0, 1].map((offset) => customer(offset, 1, first, 1)),
  )
  await run(source, { schemas: schemas })
  await untilAt('customers', 3)
  await untilAt('customers', 2, 1)
  expect(registry.requests).toEqual(['/schemas/ids/1', '/subjects/customers-value/versions/latest'])
  expect(await sql`select registry, id, topics, type from forebay.schemas`).toEqual([
    { registry: 'test', id: '1', topics: ['customers'], type: 'AVRO' },
  ])
})

test('registry away: known schemas go on, the first record of an unknown one holds its partition and says so, then goes on', async () => {
  const source = memorySource([CUSTOMERS, other, ORDERS])
  source.append(customer(0, 1), customer(0, 1, first, 1))
  await run(source, { schemas: schemas })
  await untilAt('customers', 1)
  await untilAt('customers', 1, 1)
  registry.register('customers-value', second)
  await registry.stop()
  source.append(customer(1, 1), customer(2, 2, second), customer(3, 1))
  source.append(customer(1, 1, first, 1), order(0, { id: 'o' }))
  await until(async () => (await position('customers'))?.reason !== null, 'said')
  await untilAt('customers', 2)
  await untilAt('customers', 2, 1)
  await untilAt('orders', 1)
  expect(await position('customers')).toMatchObject({ state: 'RUNNING', reason: /can't be reached \(ECONNREFUSED\)/ })
  expect(await ids()).toEqual(['c0-0', 'c0-1', 'c1-0', 'c1-1'])
  expect(await parked()).toEqual([])
  await registry.start()
  await untilAt('customers', 4)
  expect(await ids()).toEqual(['c0-0', 'c0-1', 'c0-2', 'c0-3', 'c1-0', 'c1-1'])
  expect(await position('customers')).toMatchObject({ state: 'RUNNING', reason: null })
})

test('a restart while the registry is away reads by the schemas that were read by before', async () => {
  const source = memorySource([CUSTOMERS])
  source.append(customer(0, 1))
  const { pump } = await run(source, { schemas: schemas })
  await untilAt('customers', 1)
  await source.stop()
  await pump.stop()
  await registry.stop()
  const restarted = newStore()
  await restarted.load(['customers'])
  const again = memorySource([CUSTOMERS])
  again.append(customer(0, 1), customer(1, 1))
  await run(again, { schemas: restarted })
  await untilAt('customers', 2)
  await registry.start()
})

test('a schema that the registry does not have makes its record bad, and the others go on', async () => {
  const source = memorySource([CUSTOMERS])
  source.append(customer(0, 1), customer(1, 77), customer(2, 1))
  await run(source, { schemas: schemas })
  await untilAt('customers', 3)
  expect(await ids()).toEqual(['c0-0', 'c0-2'])
  expect(await parked()).toMatchObject([
    { offset: '1', entity: 'Customer', reason: /schema 77, which the registry does not/ },
  ])
})

test('a slow registry holds what needs it and nothing else', async () => {
  const source = memorySource([CUSTOMERS, ORDERS])
  registry.fail('silent')
  source.append(customer(0, 1), order(0, { id: 'o' }))
  await run(source, { schemas: schemas })
  await untilAt('orders', 1)
  await until(async () => /does not answer in time/.test((await position('customers'))?.reason ?? ''), 'said')
  registry.fail(undefined)
  await untilAt('customers', 1)
})

test('refused credentials are said, nothing is put into quarantine, and it goes on once they are right', async () => {
  const source = memorySource([CUSTOMERS])
  registry.fail(401)
  source.append(customer(0, 1))
  await run(source, { schemas: schemas })
  await until(async () => /refuses the credentials/.test((await position('customers'))?.reason ?? ''), 'said')
  expect(await parked()).toEqual([])
  registry.fail(undefined)
  await untilAt('customers', 1)
})

test('a hold ends with whoever held: another that takes the partition over begins without its reason', async () => {
  const source = memorySource([CUSTOMERS])
  await registry.stop()
  source.append(customer(0, 1))
  const { pump } = await run(source, { schemas: schemas })
  await until(async () => (await position('customers'))?.reason !== null, 'said')
  await source.stop()
  await pump.stop()
  await registry.start()
  const again = memorySource([CUSTOMERS])
  again.append(customer(0, 1))
  await run(again, { schemas: newStore() })
  await untilAt('customers', 1)
  expect(await position('customers')).toMatchObject({ reason: null })
})
