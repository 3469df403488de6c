/** Schemas that change under way: what flows, what stops its entity and no other, and how it goes on. */
import avro from 'avsc'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { LogRecord } from '../../src/ingest/change.ts'
import { registryClient } from '../../src/ingest/registry/client.ts'
import { type SchemaStore, schemaStore } from '../../src/ingest/registry/schemas.ts'
import { metricsText } from '../../src/platform/metrics.ts'
import { until } from '../kafka/client.ts'
import { type Registry, startRegistry } from '../support/registry.ts'
import { memorySource } from './memory-source.ts'
import { CUSTOMERS, customers, ORDERS, order, parked, position, run, SHOP, setUpPumps, sql, untilAt } from './pumps.ts'
import { framed } from './registered.ts'

setUpPumps(SHOP.replace('{ topic: "customers" }', '{ topic: "customers", format: AVRO, version: "rev" }'))

const field = (name: string, type: unknown, more = {}) => ({ name, type, ...more })
const optional = (name: string, type: unknown = 'string') => field(name, ['null', type], { default: null })
const row = (...fields: readonly object[]) => ({
  type: 'record',
  name: 'Customer',
  fields: [field('id', 'string'), field('tenant_id', 'string'), field('rev', 'long'), ...fields],
})

let registry: Registry
let close: () => void
let schemas: SchemaStore
beforeEach(async () => {
  registry = await startRegistry()
  restart()
})
const restart = (): void => {
  const client = registryClient({ urls: [registry.url] }, { timeoutMs: 200 })
  close = client.close
  schemas = schemaStore({ sql, client, registry: 'test', absence: { againMs: 10, keptMs: 60_000 } })
}
afterEach(async () => {
  close()
  await registry.stop()
})

const customer = (offset: number, id: number, schema: object, values: object): LogRecord => ({
  ...CUSTOMERS,
  offset: BigInt(offset),
  timestamp: 0,
  headers: {},
  key: null,
  value: framed(
    id,
    avro.Type.forSchema(schema as avro.Schema).toBuffer({
      id: `c${offset}`,
      tenant_id: 'acme',
      rev: offset,
      ...values,
    }),
  ),
})
const stopped = () => until(async () => (await position('customers'))?.reason !== null, 'stopped')
const regions = async () =>
  (await sql<{ id: string; region: string | null }[]>`select id, region from shop.customer order by id`).map(
    ({ id, region }) => [id, region],
  )

test('an added optional field flows, and records from before it lack it', async () => {
  const before = row(field('name', 'string'))
  const after = row(field('name', 'string'), optional('region'))
  registry.register('customers-value', before)
  const source = memorySource([CUSTOMERS])
  source.append(customer(0, 1, before, { name: 'Ann' }))
  await run(source, { schemas: schemas })
  await untilAt('customers', 1)
  registry.register('customers-value', after)
  source.append(customer(1, 2, after, { name: 'Ben', region: 'north' }), customer(2, 1, before, { name: 'Cy' }))
  await untilAt('customers', 3)
  expect(await regions()).toEqual([
    ['c0', null],
    ['c1', 'north'],
    ['c2', null],
  ])
})

test('a removed field that a view reads stops its entity with the reason, the other entities go on, nothing is lost', async () => {
  const before = row(field('name', 'string'), optional('region'))
  const after = row(field('name', 'string'))
  registry.register('customers-value', before)
  const source = memorySource([CUSTOMERS, ORDERS])
  source.append(customer(0, 1, before, { name: 'Ann', region: 'north' }))
  await run(source, { schemas: schemas })
  await untilAt('customers', 1)
  registry.register('customers-value', after)
  source.append(customer(1, 2, after, { name: 'Ben' }), order(0, { id: 'o' }))
  await stopped()
  expect(await position('customers')).toMatchObject({
    next: 1,
    reason: expect.stringMatching(/^Customer\.region has no field region to come from in schema 2: .*start again$/),
  })
  await untilAt('orders', 1)
  expect(await parked()).toEqual([])
  expect((await metricsText()).text).toContain('forebay_entity_stopped{entity="Customer"} 1')
})

test('a removed field that came back in the latest schema stops nothing', async () => {
  const full = row(field('name', 'string'), optional('region'))
  const without = row(field('name', 'string'))
  for (const schema of [full, without]) registry.register('customers-value', schema)
  registry.register('customers-value', row(field('name', 'string'), optional('region'), optional('more')))
  const source = memorySource([CUSTOMERS])
  source.append(customer(0, 1, full, { name: 'Ann', region: 'north' }), customer(1, 2, without, { name: 'Ben' }))
  await run(source, { schemas: schemas })
  await untilAt('customers', 2)
  expect(await regions()).toEqual([
    ['c0', 'north'],
    ['c1', null],
  ])
})

test('a removed field stops its entity after a restart too, also while the registry is away', async () => {
  const before = row(field('name', 'string'), optional('region'))
  const after = row(field('name', 'string'))
  for (const schema of [before, after]) registry.register('customers-value', schema)
  const records = [customer(0, 1, before, { name: 'Ann' }), customer(1, 2, after, { name: 'Ben' })]
  const source = memorySource([CUSTOMERS])
  source.append(...records)
  const { pump } = await run(source, { schemas: schemas })
  await stopped()
  await source.stop()
  await pump.stop()
  close()
  await registry.stop()
  restart()
  await schemas.load(['customers'])
  const again = memorySource([CUSTOMERS])
  again.append(...records)
  await run(again, { schemas: schemas })
  await stopped()
  expect(await position('customers')).toMatchObject({ next: 1 })
  await registry.start()
})

test('a retyped field that never converts stops its entity; one that may convert flows', async () => {
  const text = row(field('name', 'string'))
  const number = row(field('name', 'int'))
  const list = row(field('name', { type: 'array', items: 'string' }))
  for (const schema of [text, number, list]) registry.register('customers-value', schema)
  const source = memorySource([CUSTOMERS])
  source.append(customer(0, 1, text, { name: 'Ann' }), customer(1, 2, number, { name: 7 }))
  source.append(customer(2, 3, list, { name: ['x'] }))
  await run(source, { schemas: schemas })
  await stopped()
  await untilAt('customers', 2)
  expect((await customers()).map(({ name }) => name)).toEqual(['Ann', '7'])
  expect(await position('customers')).toMatchObject({
    reason: expect.stringMatching(/Customer\.name is String, which name as array never converts to in schema 3/),
  })
})

test('a non-null field that an event’s schema lacks stops its entity at once', async () => {
  const without = row(optional('region'))
  registry.register('customers-value', without)
  const source = memorySource([CUSTOMERS])
  source.append(customer(0, 1, without, {}))
  await run(source, { schemas: schemas })
  await stopped()
  expect(await position('customers')).toMatchObject({
    next: 0,
    reason: expect.stringMatching(/Customer\.name has no field/),
  })
})
