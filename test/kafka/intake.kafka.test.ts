/** The whole intake on a real broker: a registry's formats, also while it is away, and partitions that quarantine has paused. */
import { randomUUID } from 'node:crypto'
import type { IHeaders } from 'kafkajs'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createRedriver } from '../../src/ingest/apply/redrive.ts'
import type { LogRecord } from '../../src/ingest/change.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import { entityTable } from '../../src/model/names.ts'
import { dropQuarantined, type Means } from '../../src/operate/quarantine/act.ts'
import { readReplays, requestReplay } from '../../src/operate/replay/jobs.ts'
import { avroType } from '../ingest/avro-encoder.ts'
import { capturedRecords, capturedSchemas, framed } from '../ingest/registered.ts'
import { sampleRecords } from '../ingest/samples.ts'
import { type KafkaService, startKafka } from '../support/kafka.ts'
import { type Registry, startRegistry } from '../support/registry.ts'
import { type Client, kafkaClient, until } from './client.ts'
import { item, openShop, type Shop } from './shop.ts'

let kafka: KafkaService
let client: Client
let registry: Registry
const shops: Shop[] = []
beforeAll(async () => {
  kafka = await startKafka()
  client = await kafkaClient(kafka.brokers)
})
afterEach(async () => {
  await Promise.all(shops.splice(0).map((shop) => shop.close()))
  await registry?.stop().catch(() => {})
})
afterAll(async () => {
  await client?.close()
  await kafka?.stop()
})

const types = `id: Long! si: Int bi: Long num2: Decimal @column(scale: 4) mon: Decimal @column(scale: 2) r: Float b: Boolean bt1: Boolean t: String
  ch: String js: JSON jb: JSON da: Date ts: DateTime tstz: DateTime tsa: [DateTime!] mos: [String!] x: Float @column(name: "pt.x")`
const folder = (run: string) => `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "test", source: { format: DEBEZIUM_AVRO })
type Typed @entity(domain: "shop", key: "id", shared: true, source: { topic: "${run}.types" }) { ${types} }
type Plain @entity(domain: "shop", key: "id", shared: true, source: { topic: "${run}.plain", format: DEBEZIUM }) { ${types} }
type Large @entity(domain: "shop", key: "id", shared: true, source: { topic: "${run}.toast" }) {
  id: Int! v: Int big: String bigj: JSON bigb: String biga: [String!] }
type Line @entity(domain: "shop", key: ["order", "line"], shared: true, source: { topic: "${run}.lines" }) {
  order: Int! @column(name: "Order Id") line: Int! @column(name: "lineNo") quantity: Decimal @column(name: "Qty", scale: 3) }
type Document @entity(domain: "shop", key: "id", shared: true, source: { topic: "${run}.documents", format: JSON_SCHEMA, naming: AS_IS }) {
  id: ID! big: Long price: Decimal @column(scale: 2) label: String }`

const open = async (run: string, options: Parameters<typeof openShop>[2]): Promise<Shop> => {
  const shop = await openShop(kafka.brokers, run, options)
  shops.push(shop)
  return shop
}
type Sent = Pick<LogRecord, 'key' | 'value' | 'partition'> & { readonly headers?: LogRecord['headers'] }
const send = (topic: string, records: readonly Sent[]) =>
  client.producer.send({
    topic,
    acks: -1,
    messages: records.map(({ key, value, partition, headers }) => ({
      key,
      value,
      partition,
      headers: { ...headers } as IHeaders,
    })),
  })
const rowsOf = (shop: Shop, entity: string, columns: string, order = 'id') =>
  shop.database.sql.unsafe(
    `select ${columns} from ${entityTable(shop.model.entities.get(entity)!)} where _live order by ${order}`,
  )
const untilAt = (shop: Shop, topic: string, partition: number, next: number) =>
  until(
    async () => at(await shop.positions(), topic, partition)?.next === next,
    `${topic}-${partition} at ${next}`,
    30_000,
  )
const at = (positions: Awaited<ReturnType<Shop['positions']>>, topic: string, partition: number) =>
  positions.find((one) => one.topic === topic && one.partition === partition)

const placeholder = '__debezium_unavailable_value'
/** A change of the captured table of large values that leaves them alone, as its connector writes it. */
const untouched = (given: Buffer, lsn: bigint): Buffer => {
  const type = avroType(captured[6]!)
  const envelope = type.fromBuffer(given.subarray(5)) as { after: object; source: object }
  const large = { big: placeholder, bigj: placeholder, bigb: Buffer.from(placeholder), biga: [placeholder] }
  const value = {
    ...envelope,
    op: 'u',
    after: { ...envelope.after, v: 1, ...large },
    source: { ...envelope.source, lsn },
  }
  return framed(6, type.toBuffer(value))
}
const captured = capturedSchemas() as Readonly<Record<string, object>>
const documentSchema = (...more: readonly string[]) => ({
  type: 'object',
  properties: Object.fromEntries(
    [['id', 'string'], ['big', 'integer'], ['price', 'string'], ...more.map((name) => [name, 'string'])].map(
      ([name, type]) => [name!, { type }],
    ),
  ),
})
const documentOf = (schema: number, id: string, more = '', headers = false): Omit<Sent, 'partition'> => {
  const value = Buffer.from(`{"id":"${id}","big":9007199254740993,"price":"1.50"${more}}`)
  const id4 = framed(schema, Buffer.alloc(0))
  return headers
    ? { key: null, value, headers: { __value_schema_id: id4 } }
    : { key: null, value: framed(schema, value) }
}

test('formats of a registry: rows are those of the JSON capture, and while the registry is away what is known flows and the rest is held', async () => {
  registry = await startRegistry()
  for (const [id, schema] of Object.entries(captured)) registry.register(`captured-${id}`, schema, { id: Number(id) })
  registry.register('documents', documentSchema(), { type: 'JSON', id: 50 })
  const run = `t-${randomUUID()}`
  const topics = ['types', 'plain', 'toast', 'lines', 'documents'].map((name) => `${run}.${name}`)
  await client.admin.createTopics({ topics: topics.map((topic) => ({ topic, numPartitions: 4 })) })
  const shop = await open(run, { folder: folder(run), env: { SCHEMA_REGISTRY_URL: registry.url } })
  const first = await shop.start()
  const large = capturedRecords('public.toast_t.jsonl')
  await send(`${run}.types`, capturedRecords('public.types_t.jsonl'))
  await send(`${run}.plain`, sampleRecords('debezium/public.types_t.jsonl'))
  await send(`${run}.lines`, capturedRecords('Mixed_Case.Order_Items.jsonl'))
  await send(`${run}.toast`, large)
  await send(`${run}.documents`, [
    { ...documentOf(50, 'framed'), partition: 0 },
    { ...documentOf(50, 'named', '', true), partition: 1 },
  ])
  await until(
    async () => {
      const ends = await Promise.all(topics.map((topic) => client.admin.fetchTopicOffsets(topic)))
      const positions = await shop.positions()
      return topics.every((topic, n) =>
        ends[n]!.every(({ partition, offset }) => at(positions, topic, partition)?.next === Number(offset)),
      )
    },
    'all applied',
    30_000,
  )

  // What the captured table holds that no column of ours does.
  expect(
    await shop.database.sql`
      select reason, count(distinct entity)::int as entities
      from (select entity, split_part(reason, '.', 2) as reason from forebay.quarantine) q group by reason order by reason`,
  ).toEqual([
    { reason: expect.stringMatching(/^da is before 1582-10-15/), entities: 2 },
    { reason: 'da is outside the years 0001 to 9999', entities: 2 },
    { reason: 'r is not a finite number', entities: 2 },
  ])
  const columns = 'id, si, bi, num2, mon, r, b, bt1, t, ch, js::text, jb::text, da, ts, tstz, tsa, mos, x'
  const [fromAvro, fromJson] = await Promise.all([rowsOf(shop, 'Typed', columns), rowsOf(shop, 'Plain', columns)])
  expect(fromAvro.find(({ id }) => id === '1')).toMatchObject({
    bi: '9223372036854775807',
    num2: '10.5000',
    mon: '1234.56',
    x: 1.5,
  })
  const both = fromAvro.filter(({ id }) => fromJson.some((row) => row.id === id))
  expect(both.length).toBeGreaterThanOrEqual(4)
  expect(both).toEqual(fromJson.filter(({ id }) => fromAvro.some((row) => row.id === id)))
  expect(await rowsOf(shop, 'Line', '"order", line, quantity', '"order"')).toEqual([
    { order: 1, line: 2, quantity: '9.250' },
  ])
  const document = (id: string, label: string | null = null) => ({ id, big: '9007199254740993', price: '1.50', label })
  expect(await rowsOf(shop, 'Document', 'id, big, price, label')).toEqual([document('framed'), document('named')])

  // What is lost is read once more from the log, by the same schemas.
  const { sql } = shop.database
  await sql.unsafe(`delete from ${entityTable(shop.model.entities.get('Typed')!)}`)
  await sql.unsafe(`delete from ${entityTable(shop.model.entities.get('Document')!)}`)
  for (const [entity, topic, from] of [
    ['Typed', 'types', 'earliest'],
    ['Document', 'documents', `${run}.documents-1-0`],
  ] as const) {
    const id = await requestReplay(sql, entity, `${run}.${topic}`, from)
    await until(async () => (await readReplays(sql, id))[0]?.state === 'DONE', `${entity} is replayed`, 30_000)
  }
  expect(await rowsOf(shop, 'Typed', columns)).toEqual(fromAvro)
  expect(await rowsOf(shop, 'Document', 'id, big, price, label')).toEqual([document('named')])

  // Away: what is known flows, also for a process that starts now; a schema not seen yet holds its partition alone.
  await registry.stop()
  await send(`${run}.toast`, [{ ...large[0]!, value: untouched(large[0]!.value!, 2n ** 40n) }])
  await untilAt(shop, `${run}.toast`, 3, 3)
  registry.register('documents', documentSchema('label'), { type: 'JSON', id: 51 })
  await send(`${run}.documents`, [
    { ...documentOf(51, 'new', ',"label":"x"'), partition: 0 },
    { ...documentOf(50, 'behind'), partition: 0 },
    { ...documentOf(50, 'beside'), partition: 1 },
  ])
  const held = /the schema registry at 127\.0\.0\.1:\d+ can't be reached/
  const waits = async () => held.test(at(await shop.positions(), `${run}.documents`, 0)?.reason ?? '')
  await until(waits, 'held')
  await untilAt(shop, `${run}.documents`, 1, 2)
  await first.stop()
  await shop.start()
  await until(waits, 'held by the next one too')
  await send(`${run}.documents`, [{ ...documentOf(50, 'later'), partition: 1 }])
  await untilAt(shop, `${run}.documents`, 1, 3)
  expect(at(await shop.positions(), `${run}.documents`, 0)).toMatchObject({ next: 1, state: 'RUNNING' })
  expect(await rowsOf(shop, 'Large', 'id, v, big, bigj::text, bigb, biga')).toEqual([
    { id: 1, v: 1, big: 'c4ca4238a0b923820dcc509a6f75849b', bigj: '{}', bigb: '', biga: [] },
    { id: 3, v: 0, big: 'eccbc87e4b5ce2fe28308fd9f2a7baf3', bigj: '{}', bigb: '', biga: [] },
  ])

  await registry.start()
  await untilAt(shop, `${run}.documents`, 0, 3)
  expect(at(await shop.positions(), `${run}.documents`, 0)).toMatchObject({ reason: null })
  const all = [['behind'], ['beside'], ['later'], ['named'], ['new', 'x']] as const
  expect(await rowsOf(shop, 'Document', 'id, big, price, label')).toEqual(all.map(([id, label]) => document(id, label)))
}, 120_000)

/** An operator's, as the command line has them. */
const meansOf = ({ database: { sql }, model, catalog }: Shop): Means => {
  const decoder = createDecoder(model)
  return { sql, decoder, redriver: createRedriver(sql, model, catalog, decoder) }
}
const heldIds = async ({ database: { sql } }: Shop) =>
  (await sql<{ id: string }[]>`select id::text from forebay.quarantine where state = 'PARKED' order by id`).map(
    ({ id }) => id,
  )
const giving = { reason: 'a test', actor: 'tester' }

test('C19 a partition paused at a record of no known key, or by the cap, goes on where it stood once that is settled', async () => {
  const topic = await client.topic(2)
  const shop = await open(topic, { env: { FOREBAY_QUARANTINE_CAP: '3' } })
  await shop.start()
  const good = (id: string, partition: number): Sent => ({
    key: Buffer.from(id),
    value: Buffer.from(item(id, id)),
    partition,
  })
  const paused = (partition: number) =>
    until(async () => at(await shop.positions(), topic, partition)?.state === 'PAUSED', `${partition} paused`, 30_000)
  await send(topic, [
    good('a', 0),
    { key: null, value: Buffer.from('not json'), partition: 0 },
    good('b', 0),
    good('c', 1),
  ])
  await paused(0)
  await send(topic, [good('d', 0), good('e', 1)])
  await untilAt(shop, topic, 1, 2)
  expect(at(await shop.positions(), topic, 0)).toMatchObject({
    next: 1,
    reason: expect.stringMatching(/can't be told/),
  })
  expect(Object.keys(await shop.items()).sort()).toEqual(['a', 'c', 'e'])
  await dropQuarantined(meansOf(shop), { ids: await heldIds(shop), ...giving })
  await untilAt(shop, topic, 0, 4)

  const bad = (n: number): Sent => ({
    key: Buffer.from(`bad${n}`),
    value: Buffer.from(item(`bad${n}`, '').replace('""', 'null')),
    partition: 0,
  })
  await send(
    topic,
    Array.from({ length: 8 }, (_, n) => bad(n)),
  )
  await paused(0)
  await send(topic, [good('f', 0), good('g', 1)])
  await paused(1)
  expect(at(await shop.positions(), topic, 0)!.reason).toMatch(/more than FOREBAY_QUARANTINE_CAP \(3\)/)
  while (at(await shop.positions(), topic, 0)!.next < 13) {
    const [some] = [await heldIds(shop)]
    await dropQuarantined(meansOf(shop), { ids: some, ...giving })
    await until(
      async () => (await heldIds(shop)).length > 3 || at(await shop.positions(), topic, 0)!.next === 13,
      'more of it',
      30_000,
    )
  }
  await untilAt(shop, topic, 1, 3)
  expect(Object.keys(await shop.items()).sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g'])
  const [settled] = await shop.database
    .sql`select count(*)::int as n, count(distinct "offset")::int as offsets from forebay.quarantine`
  expect(settled).toEqual({ n: 9, offsets: 9 })
}, 120_000)
