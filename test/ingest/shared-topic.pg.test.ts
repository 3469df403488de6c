/** Several entities that read one topic, of which its schema stops one: the others go on, and nothing of the stopped one is lost. */
import avro from 'avsc'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { LogRecord } from '../../src/ingest/change.ts'
import { watchQuarantine } from '../../src/ingest/quarantine-watch.ts'
import { registryClient } from '../../src/ingest/registry/client.ts'
import { type SchemaStore, schemaStore } from '../../src/ingest/registry/schemas.ts'
import { redriveQuarantined } from '../../src/operate/quarantine/act.ts'
import { metricsText } from '../../src/platform/metrics.ts'
import { until } from '../kafka/client.ts'
import { loadModel } from '../law/model.ts'
import { type Registry, startRegistry } from '../support/registry.ts'
import { memorySource } from './memory-source.ts'
import { CUSTOMERS, customers, later, means, parked, position, run, SHOP, setUpPumps, sql, untilAt } from './pumps.ts'
import { framed } from './registered.ts'

const topic = 'source: { topic: "customers", format: AVRO, version: "rev" }'
const SHARED = SHOP.replace('source: { topic: "customers" }', topic).replace('source: { topic: "orders" }', topic)
setUpPumps(SHARED)

const recordOf = (...fields: readonly (readonly [name: string, type: unknown])[]) => ({
  type: 'record',
  name: 'Row',
  fields: [['id', 'string'], ['tenant_id', 'string'], ['rev', 'long'], ...fields].map(([name, type]) => ({
    name,
    type,
  })),
})
const before = recordOf(['name', 'string'], ['region', 'string'], ['total', 'int'])
/** `total` is a list now, and its sum beside it. */
const after = recordOf(
  ['name', 'string'],
  ['region', 'string'],
  ['total', { type: 'array', items: 'int' }],
  ['sum', 'int'],
)
const rekeyed = {
  ...after,
  fields: after.fields.map((field) => (field.name === 'id' ? { ...field, name: 'ident' } : field)),
}

let registry: Registry
let close: () => void
let schemas: SchemaStore
beforeEach(async () => {
  registry = await startRegistry()
  const client = registryClient({ urls: [registry.url] }, { timeoutMs: 500 })
  close = client.close
  schemas = schemaStore({ sql, client, registry: 'test', absence: { againMs: 10, keptMs: 60_000 } })
  for (const schema of [before, after]) registry.register('customers-value', schema)
})
afterEach(async () => {
  close()
  await registry.stop()
})

/** Row `id` as its `offset`th change, written by schema 1 or 2. */
const change = (offset: number, id: string, schema: 1 | 2): LogRecord => {
  const values = { id, tenant_id: 'acme', rev: offset, name: `n${offset}`, region: 'north', sum: offset }
  const total = schema === 1 ? offset : [offset]
  return recordBy(offset, schema, schema === 1 ? before : after, { ...values, total })
}
const recordBy = (offset: number, id: number, schema: object, values: object): LogRecord => ({
  ...CUSTOMERS,
  offset: BigInt(offset),
  timestamp: 0,
  headers: {},
  key: null,
  value: framed(id, avro.Type.forSchema(schema as avro.Schema).toBuffer(values)),
})
const names = async () => Object.fromEntries((await customers()).map(({ id, name }) => [id, name]))
const totals = async () =>
  Object.fromEntries(
    (await sql<{ id: string; total: number }[]>`select id, total from shop.order`).map((r) => [r.id, r.total]),
  )
const mended = () => loadModel(SHARED.replace('total: Int!', 'total: Int! @column(name: "sum")'))

test('the others go on, what is the stopped one’s waits, and a folder that fits and a redrive bring it, in order', async () => {
  const source = memorySource([CUSTOMERS])
  source.append(change(0, 'a', 1), change(1, 'b', 1), change(2, 'a', 2), change(3, 'c', 2), change(4, 'a', 2))
  const { pump } = await run(source, { schemas })
  await untilAt('customers', 5)
  expect(await names()).toEqual({ a: 'n4', b: 'n1', c: 'n3' })
  expect(await totals()).toEqual({ a: 0, b: 1 })
  const reason = /^Order\.total is Int, which total as array never converts to in schema 2: .*start again$/
  expect(await parked()).toMatchObject(
    [2, 3, 4].map((n) => ({ offset: `${n}`, entity: 'Order', reason: expect.stringMatching(reason) })),
  )
  expect(await position('customers')).toMatchObject({ state: 'RUNNING', reason: null })
  expect((await metricsText()).text).toContain('forebay_entity_stopped{entity="Order"} 1')
  await source.stop()
  await pump.stop()
  const folder = await mended()
  const again = memorySource([CUSTOMERS])
  again.append(...[0, 1, 2, 3, 4].map((n) => change(n, 'x', 1)), change(5, 'c', 2), change(6, 'd', 2))
  await run(again, { schemas, folder })
  await untilAt('customers', 7)
  expect(await redriveQuarantined(means({ schemas, folder }), { entity: 'Order' })).toMatchObject({
    parked: 0,
    waiting: 0,
  })
  expect(await totals()).toEqual({ a: 4, b: 1, c: 5, d: 6 })
})

test('past the cap its topic pauses, the others with it, and says why; after the fix nothing is missing', async () => {
  const cap = 3
  const watch = watchQuarantine({ sql, cap, read: () => [], everyMs: 20 })
  later(() => watch.stop())
  const log = Array.from({ length: 12 }, (_, n) => change(n, `r${n}`, n === 0 ? 1 : 2))
  const source = memorySource([CUSTOMERS], 2)
  source.append(...log)
  const { pump } = await run(source, { schemas, cap, quarantined: () => watch.check() })
  await until(async () => (await position('customers'))?.state === 'PAUSED', 'paused')
  expect((await position('customers'))!.reason).toMatch(
    /records of customers are in quarantine, more than FOREBAY_QUARANTINE_CAP/,
  )
  await source.stop()
  await pump.stop()
  const folder = await mended()
  const again = memorySource([CUSTOMERS], 2)
  again.append(...log)
  await run(again, { schemas, folder, cap, quarantined: () => watch.check() })
  await redriveQuarantined(means({ schemas, folder }), { topic: 'customers' })
  await untilAt('customers', 12)
  expect(Object.keys(await names())).toHaveLength(12)
  expect(await totals()).toEqual(Object.fromEntries(log.map((_, n) => [`r${n}`, n])))
})

test('a redrive fetches the schema that a record needs, of a key that could not be told too', async () => {
  registry.register('customers-value', rekeyed)
  const source = memorySource([CUSTOMERS])
  const values = { ident: 'k', tenant_id: 'acme', rev: 1, name: 'n1', region: 'north', total: [1], sum: 1 }
  source.append(change(0, 'a', 2), recordBy(1, 3, rekeyed, values), change(2, 'b', 2))
  const { pump } = await run(source, { schemas })
  await until(async () => (await position('customers'))?.state === 'PAUSED', 'paused')
  expect(await position('customers')).toMatchObject({
    next: 1,
    reason: expect.stringMatching(/can't be told .*Customer\.id has no field id/),
  })
  await source.stop()
  await pump.stop()
  const folder = await loadModel(
    SHARED.replace('total: Int!', 'total: Int! @column(name: "sum")').replaceAll(
      '  id: ID!\n',
      '  id: ID! @column(name: "ident")\n',
    ),
  )
  const fresh = schemaStore({
    sql,
    client: registryClient({ urls: [registry.url] }),
    registry: 'another process',
    absence: { againMs: 10, keptMs: 60_000 },
  })
  expect(await redriveQuarantined(means({ schemas: fresh, folder }), {})).toMatchObject({ reread: 1 })
  expect(await position('customers')).toMatchObject({ next: 1, state: 'RUNNING' })
})
