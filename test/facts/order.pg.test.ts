/** How a real Debezium orders and repeats what it sends, and that rows are the source's all the same. Facts 1 to 7. */
import { describe, expect, test } from 'vitest'
import { createDecoder } from '../../src/ingest/decode.ts'
import { column, entity, model } from '../ingest/entities.ts'
import { sampleRecords } from '../ingest/samples.ts'
import { byPartition, envelopeOf, inTransaction, ofKey, orders } from './captured.ts'
import { openWorld } from './world.ts'

const KEYCHG =
  'type KeyChange @entity(domain: "odd", key: "id", source: { topic: "odd.public.keychg" }) { id: Int! v: String! }'
const keychg = sampleRecords('debezium/public.keychg.jsonl')
/** What the source's table held when the capture ended. */
const atSource = [
  { id: 2, v: 'reborn' },
  { id: 3, v: 'b' },
  { id: 50, v: 'avro upd' },
  { id: 52, v: 'kept' },
  { id: 54, v: 'kept2' },
  { id: 70, v: 'T1 early' },
  { id: 71, v: 'T1 late' },
  { id: 72, v: 'T2 in between' },
]
describe('fact 1 within a key lsn never goes back in a running stream; after a kill what was sent comes again', () => {
  test('fact 1 as captured', () => {
    for (const own of Map.groupBy(keychg, ({ key }) => String(key)).values()) {
      const lsns = own.flatMap((record) => envelopeOf(record)?.source.lsn ?? [])
      expect(lsns).toEqual(lsns.toSorted((a, b) => a - b))
    }
  })

  test('fact 1 a suffix that is sent again, from anywhere, changes nothing and is no going back of the source', async () => {
    const world = await openWorld(KEYCHG)
    await world.deliver(keychg)
    expect(await world.rows('KeyChange')).toEqual(atSource)
    for (const keep of [0, 3, 5, 8]) {
      const again = byPartition(keychg).flatMap((log) => log.slice(keep))
      const dropped = await world.deliver(again)
      const changes = again.filter(({ value }) => value !== null).length
      expect(dropped.older + dropped.duplicate).toBe(changes)
    }
    expect(await world.rows('KeyChange')).toEqual(atSource)
    expect(await world.stopped()).toEqual([])
  })
})

test('fact 2 across keys and topics lsn is not monotonic, and nothing is left out for an lsn that is lower than one already seen', async () => {
  const world = await openWorld(`
    ${KEYCHG}
    type Parent @entity(domain: "odd", key: "id", source: { topic: "odd.public.casc_p" }) { id: Int! children: [Child!]! @join(to: "pid") }
    type Child @entity(domain: "odd", key: "id", source: { topic: "odd.public.casc_c" }) { id: Int! pid: Int parent: Parent @join(from: "pid") }
    type Family @view(of: "Parent") @allow(roles: [READER]) { id: Int! children: [Int!]! @list(of: "children.id", first: 9, orderBy: { id: ASC }) }`)
  const of = (id: number) => keychg.filter(ofKey({ id }))
  // T1 began before T2 and committed after it.
  expect(envelopeOf(of(70)[0]!)!.source.lsn).toBeLessThan(envelopeOf(of(72)[0]!)!.source.lsn)
  await world.deliver(of(72))
  await world.deliver(of(71))
  await world.deliver(of(70))
  expect(await world.rows('KeyChange')).toEqual(atSource.filter(({ id }) => id >= 70))
  // A row of a view that two topics feed: all of the one first, whose last lsn is beyond the first of the other.
  await world.deliver(sampleRecords('debezium/public.casc_c.jsonl').slice(0, 5))
  await world.deliver(sampleRecords('debezium/public.casc_p.jsonl').slice(0, 4))
  expect(await world.view('Family')).toEqual([
    { id: 2, children: [3] },
    { id: 11, children: [1, 2] },
  ])
})

test('fact 3 a table without a key comes with null keys: it stops its entity with what to do, and no row is guessed', async () => {
  for (const table of ['nopk_full', 'nopk_default']) {
    const world = await openWorld(
      `type Keyless @entity(domain: "odd", key: "a", source: { topic: "odd.public.${table}" }) { a: Int! b: String }`,
    )
    await world.deliver(sampleRecords(`debezium/public.${table}.jsonl`))
    expect(await world.rows('Keyless')).toEqual([])
    expect(await world.parked()).toEqual([])
    const [stopped] = await world.stopped()
    expect(stopped!.reason).toMatch(
      /^Keyless: records of odd\.public\.nopk_\w+ have no key.*primary key.*message\.key\.columns/,
    )
  }
})

test('fact 4 a transaction is known by its txId: the id beside it differs on every event, and its ends may be on different partitions', async () => {
  const world = await openWorld(KEYCHG)
  await world.deliver(keychg)
  const t1 = keychg.filter(inTransaction(1494)).map(envelopeOf)
  expect(new Set(t1.map((sent) => sent!.transaction!.id)).size).toBe(t1.length)
  expect([...(await world.sql`select id from odd.key_change where _tx = '1494' order by id`)]).toEqual([
    { id: 70 },
    { id: 71 },
  ])
  const ends = sampleRecords('debezium/transaction.jsonl').map(
    ({ value }) => JSON.parse(String(value)) as { id: string },
  )
  expect(new Set(ends.map(({ id }) => id)).size).toBe(ends.length)
})

test('fact 5 BEGIN and END prove nothing: sent again, alone or with a partial count, they change no row and hold none back', async () => {
  const boundaries = sampleRecords('debezium/transaction.jsonl')
  const transactions = entity('Any', ['id'], [column('id', 'ID!')], { topic: 'odd.transaction' })
  const decoder = createDecoder(model([transactions]))
  const partial = boundaries.map((record) => ({
    ...record,
    value: Buffer.from(String(record.value).replace('"event_count":20000', '"event_count":7')),
  }))
  for (const record of [...boundaries, ...boundaries, ...partial])
    expect(decoder.decode(record, 0)).toEqual([{ kind: 'skipped', reason: 'transaction boundary' }])
  // The first half of a transaction is visible before its END, and stands when the other never comes.
  const world = await openWorld(KEYCHG)
  await world.deliver(keychg.filter(inTransaction(1494)).slice(0, 1))
  expect(await world.rows('KeyChange')).toHaveLength(1)
})

describe('fact 6 a changed key is a delete and a create at one lsn', () => {
  test('fact 6 ids swapped within a transaction end as the source has them, in whatever order the partitions come', {
    timeout: 120_000,
  }, async () => {
    const world = await openWorld(KEYCHG)
    for (const order of orders(byPartition(keychg))) {
      await world.empty()
      for (const partition of order) await world.deliver(partition)
      expect(await world.rows('KeyChange')).toEqual(atSource)
    }
  })

  test('fact 6 so is a key by a unique index, and a cascade leads on to what points at it', async () => {
    const world = await openWorld(`
      type Unique @entity(domain: "odd", key: "k", source: { topic: "odd.public.uniqidx" }) { k: ID! v: Int! }
      type Parent @entity(domain: "odd", key: "id", source: { topic: "odd.public.casc_p" }) { id: Int! }
      type Child @entity(domain: "odd", key: "id", source: { topic: "odd.public.casc_c" }) { id: Int! pid: Int }`)
    const unique = sampleRecords('debezium/public.uniqidx.jsonl')
    await world.deliver(unique.slice(0, 4))
    expect(await world.rows('Unique')).toEqual([{ k: 'k2', v: 2 }])
    await world.deliver(unique.slice(4))
    expect(await world.rows('Unique')).toEqual([])
    await world.deliver([
      ...sampleRecords('debezium/public.casc_p.jsonl'),
      ...sampleRecords('debezium/public.casc_c.jsonl'),
    ])
    expect(await world.rows('Parent')).toEqual([{ id: 2 }])
    expect(await world.rows('Child')).toEqual([{ id: 3, pid: 2 }])
  })

  test('fact 6 a row that moves between partitions of its table is a plain delete and create', async () => {
    const world = await openWorld(
      'type Parted @entity(domain: "odd", key: ["region", "id"], source: { topic: "odd.public.parted" }) { id: Int! region: String! v: Int! }',
    )
    for (const order of orders(byPartition(sampleRecords('debezium/public.parted.jsonl')))) {
      await world.empty()
      for (const partition of order) await world.deliver(partition)
      expect(await world.rows('Parted')).toEqual([
        { id: 1, region: 'us', v: 5 },
        { id: 2, region: 'us', v: 2 },
      ])
    }
  })
})

test('fact 7 a row written several times in a transaction, or made and deleted, ends as committed; what was rolled back never comes; a no-op update does', async () => {
  const world = await openWorld(KEYCHG)
  const inOne = (tx: number) => keychg.filter(inTransaction(tx))
  expect(inOne(1657)).toHaveLength(3)
  await world.deliver(inOne(1657))
  expect(await world.rows('KeyChange')).toEqual([{ id: 50, v: 'v3' }])
  await world.deliver(inOne(1658))
  await world.deliver(inOne(1659))
  expect((await world.rows('KeyChange')).map(({ id }) => id)).toEqual([50, 52, 54])
  expect(keychg.some(({ key }) => /:(53|55)\}/.test(String(key)))).toBe(false)
  await world.deliver(inOne(1663))
  expect([...(await world.sql`select v, _tx as tx from odd.key_change where id = 50`)]).toEqual([
    { v: 'v3', tx: '1663' },
  ])
})
