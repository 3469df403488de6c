/** What a real Debezium sends that is no row, and what it never sends. Facts 17 to 22. */
import { afterEach, expect, test, vi } from 'vitest'
import { createDecoder } from '../../src/ingest/decode.ts'
import { watchSilence } from '../../src/ingest/source/silent-topics.ts'
import { log } from '../../src/platform/log.ts'
import { metricsText } from '../../src/platform/metrics.ts'
import { column, entity, model } from '../ingest/entities.ts'
import { sampleRecords } from '../ingest/samples.ts'
import { byPartition, envelopeOf, ofKey, orders, varied } from './captured.ts'
import { openWorld } from './world.ts'

afterEach(() => vi.restoreAllMocks())

test('fact 17 a truncate comes on one partition with a null key, one for each table: whatever order partitions come in, what was before it goes', {
  timeout: 60_000,
}, async () => {
  const world = await openWorld(`
    type Truncated @entity(domain: "odd", key: "id", source: { topic: "odd.public.trunc_t" }) { id: Int! v: Int! children: [Child!]! @join(to: "tid") }
    type Child @entity(domain: "odd", key: "id", source: { topic: "odd.public.trunc_child" }) { id: Int! tid: Int parent: Truncated @join(from: "tid") }
    type Counted @view(of: "Truncated") @allow(roles: [READER]) { id: Int! v: Int! children: Int! @count(of: "children") }`)
  const records = sampleRecords('debezium/public.trunc_t.jsonl')
  const children = sampleRecords('debezium/public.trunc_child.jsonl')
  for (const log of [records, children]) {
    const truncates = log.filter((record) => envelopeOf(record)!.op === 't')
    expect(truncates.map(({ key }) => key)).toEqual([null, null])
    expect(byPartition(truncates)).toHaveLength(1)
  }
  for (const order of orders(byPartition(records))) {
    await world.empty()
    await world.deliver(children)
    for (const partition of order) await world.deliver(partition)
    await world.sweep()
    expect(await world.rows('Truncated')).toEqual([{ id: 5, v: 5 }])
    expect(await world.rows('Child')).toEqual([])
  }
  expect(await world.view('Counted')).toEqual([{ id: 5, v: 5, children: 0 }])
})

test('fact 18 columns come, go and change type in mid-topic; rows that are not sent again stay as they were, until a re-snapshot', async () => {
  const world = await openWorld(`
    type Evolve @entity(domain: "odd", key: "id", source: { topic: "odd.public.evolve" }) {
      id: Int! a: String b: Int c: String aRenamed: String @column(name: "aRenamed") d: Int }`)
  const records = sampleRecords('debezium/public.evolve.jsonl')
  await world.deliver(records.filter(({ key }) => /:\d\}/.test(String(key))))
  const [one, two, ...others] = await world.rows('Evolve')
  const none = { a: null, b: null, c: null, aRenamed: null, d: null }
  expect([one, ...others]).toEqual([
    { ...none, id: 1, a: 'touched', b: 1, c: '9.99' },
    { ...none, id: 3, a: 'after add', b: 3, c: '1.25' },
    { ...none, id: 4, a: 'after drop', c: '2.50' },
    { ...none, id: 5, aRenamed: 'after rename', c: '3.50' },
    { ...none, id: 6, aRenamed: 'after type change', c: 't' },
    { ...none, id: 7, aRenamed: 'same tx', c: 't', d: 7 },
    { ...none, id: 8, aRenamed: 'same tx dropped', c: 't' },
  ])
  // The default that the added column has at the source, and the column's new name, were never sent of this row.
  expect(two).toEqual({ ...none, id: 2, a: 'before add', b: 2 })
  const [last] = records.filter(ofKey({ id: 8 }))
  const [sent] = records.filter(ofKey({ id: 2 }))
  const read = varied(last!, () => ({
    op: 'r',
    after: { id: 2, aRenamed: 'before add', c: '9.99x' },
    source: { snapshot: 'incremental', lsn: null, txId: null },
  }))
  await world.deliver([{ ...sent!, value: read.value }])
  // What the table no longer has keeps its last value.
  expect((await world.rows('Evolve'))[1]).toEqual({
    ...none,
    id: 2,
    a: 'before add',
    b: 2,
    aRenamed: 'before add',
    c: '9.99x',
  })
})

test('fact 19 a declared table of which nothing has ever come is told of once, with the publication it may lack; one that speaks is not', async () => {
  const warn = vi.spyOn(log, 'warn')
  const of = (name: string, more = {}) => entity(name, ['id'], [column('id', 'ID!')], { topic: name, ...more })
  const entities = [of('none'), of('empty'), of('late'), of('speaking'), of('denied'), of('events', { format: 'JSON' })]
  const look = watchSilence(model(entities), 0)
  const end = (topic: string, at: bigint) => ({ topic, partition: 0, start: 0n, end: at })
  const denied = new Map([['denied', 'not authorized']])
  for (let round = 0; round < 3; round++) look([end('empty', 0n), end('speaking', 5n)], denied)
  expect(warn.mock.calls.map(([event, fields]) => [event, fields?.topic])).toEqual([
    ['topic.silent', 'none'],
    ['topic.silent', 'empty'],
    ['topic.silent', 'late'],
  ])
  const [[, none], [, empty]] = warn.mock.calls as [[string, object], [string, object]]
  expect(none).toMatchObject({
    entities: ['none'],
    reason: expect.stringMatching(/^it doesn't exist.*publication\.autocreate\.mode=filtered/),
  })
  expect(empty).toMatchObject({ reason: expect.stringMatching(/^nothing was ever sent to it.*alter publication/) })
  const silent = async () =>
    [...(await metricsText()).text.matchAll(/^forebay_source_silent\{topic="(\w+)"\} 1$/gm)].map(([, topic]) => topic)
  expect(await silent()).toEqual(['none', 'empty', 'late'])
  look([end('late', 1n)], denied)
  expect(await silent()).toEqual(['none', 'empty'])
  expect(warn).toHaveBeenCalledTimes(3)
})

test('fact 21 logical messages, without a transaction too, and heartbeats, which have no op, change no row', () => {
  const probe = (topic: string) => createDecoder(model([entity('Any', ['id'], [column('id', 'ID!')], { topic })]))
  const messages = sampleRecords('debezium/logical-message.jsonl')
  expect(messages.map((record) => envelopeOf(record)!.source.txId)).toEqual([1684, null])
  for (const record of messages)
    expect(probe('odd.message').decode(record, 0)).toEqual([{ kind: 'skipped', reason: 'logical message' }])
  for (const record of sampleRecords('debezium/heartbeat.jsonl'))
    expect(probe('__debezium-heartbeat.odd').decode(record, 0)).toEqual([{ kind: 'skipped', reason: 'heartbeat' }])
})
