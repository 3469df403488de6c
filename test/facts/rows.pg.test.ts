/** What a real Debezium's rows and keys leave out, and what they are called. Facts 11 to 16. */
import { describe, expect, test, vi } from 'vitest'
import { log } from '../../src/platform/log.ts'
import { sampleRecords } from '../ingest/samples.ts'
import { byPartition, envelopeOf, ofKey, orders, varied } from './captured.ts'
import { openWorld } from './world.ts'

test('fact 11 a composite key is found by names, in whatever order key, row and declaration have them', async () => {
  const world = await openWorld(
    'type Parted @entity(domain: "odd", key: ["region", "id"], source: { topic: "odd.public.parted" }) { id: Int! region: String! v: Int! }',
  )
  const records = sampleRecords('debezium/public.parted.jsonl')
  const turned = records.map((record) => {
    const { id, region } = JSON.parse(String(record.key)) as { id: number; region: string }
    return { ...record, key: Buffer.from(JSON.stringify({ region, id })) }
  })
  for (const given of [records, turned]) {
    await world.empty()
    await world.deliver(given)
    expect(await world.rows('Parted')).toEqual([
      { id: 1, region: 'us', v: 5 },
      { id: 2, region: 'us', v: 2 },
    ])
  }
})

test('fact 12 an update has no before, a delete nothing but its key, and the tombstone behind it means nothing', async () => {
  const world = await openWorld(
    'type KeyChange @entity(domain: "odd", key: "id", source: { topic: "odd.public.keychg" }) { id: Int! v: String! }',
  )
  const own = sampleRecords('debezium/public.keychg.jsonl').filter(ofKey({ id: 60 }))
  expect(own.map((record) => envelopeOf(record)!.before)).toEqual([null, null, { id: 60, v: null }])
  await world.deliver(own.slice(0, 2))
  expect(await world.rows('KeyChange')).toEqual([{ id: 60, v: 'up2' }])
  const tombstone = { ...own[2]!, offset: own[2]!.offset + 1n, value: null }
  await world.deliver([own[2]!, tombstone])
  // The nulls of a delete's before are no values: v is non-null, and nothing is parked.
  expect(await world.rows('KeyChange')).toEqual([])
  expect(await world.parked()).toEqual([])
  // Nor does a tombstone delete what came anew meanwhile.
  await world.deliver([varied(own[1]!, () => ({ source: { lsn: 767_982_999, sequence: null } })), tombstone])
  expect(await world.rows('KeyChange')).toEqual([{ id: 60, v: 'up2' }])
})

describe('fact 13 what is too large to be sent again keeps its value', () => {
  const TOAST = `type Toast @entity(domain: "odd", key: "id", source: { topic: "odd.public.toast_t" }) {
    id: Int! v: Int! big: String! bigj: JSON! bigb: String! biga: [String!]! }`
  const moved = sampleRecords('debezium/public.toast_t-moved.jsonl')
  const first = (id: number) => envelopeOf(moved.find(ofKey({ id }))!)!.after!
  const whole = (id: number) => {
    const { big, bigj, bigb, biga } = first(id)
    return { big, bigj: JSON.parse(String(bigj)), bigb, biga }
  }
  const atSource = [
    { id: 101, v: 1, ...whole(101), big: 'short now' },
    { id: 999, v: 1, ...whole(102) },
  ]

  test('fact 13 in every form of the placeholder, and through a changed key on two partitions, in either order', async () => {
    const world = await openWorld(TOAST)
    for (const order of orders(byPartition(moved))) {
      await world.empty()
      for (const partition of order) await world.deliver(partition)
      expect(await world.rows('Toast')).toEqual(atSource)
    }
  })

  test('fact 13 in one batch, and when all of it is sent again', async () => {
    const world = await openWorld(TOAST)
    await world.deliver(moved)
    expect(await world.rows('Toast')).toEqual(atSource)
    await world.deliver(moved)
    expect(await world.rows('Toast')).toEqual(atSource)
  })
})

describe('fact 14 a nullable column is no key', () => {
  const NULLABLE =
    'type Nullable @entity(domain: "odd", key: "a", source: { topic: "odd.public.nullpk_uniq" }) { a: Int! b: String }'
  const records = sampleRecords('debezium/public.nullpk_uniq.jsonl')
  const refused = expect.stringMatching(
    /^Nullable\.a is null, but declared non-null, being a key: make the source's column not null/,
  )

  test('fact 14 its null is refused by itself: rows with a key flow on, and the delete of one row without takes no other along', async () => {
    const world = await openWorld(NULLABLE)
    for (const order of orders(byPartition(records))) {
      await world.empty()
      for (const partition of order) await world.deliver(partition)
      expect(await world.rows('Nullable')).toEqual([
        { a: 1, b: 'x' },
        { a: 7, b: 'n1' },
      ])
      expect([...(await world.parked())]).toEqual(
        ['0', '1', '2'].map((offset) => ({ offset, key: '[null]', reason: refused })),
      )
      expect(await world.stopped()).toEqual([])
    }
  })

  test('fact 14 a row whose key becomes null is gone; one that comes from there without all of it is refused', async () => {
    const world = await openWorld(NULLABLE)
    const [one, seven] = records as [(typeof records)[0], (typeof records)[0]]
    await world.deliver([one])
    const gone = varied(one, ({ after }) => ({ op: 'd', before: after, after: null, source: { lsn: 214_600_000 } }))
    await world.deliver([{ ...gone, headers: { '__debezium.newkey': '{"a":null}' } }])
    expect(await world.rows('Nullable')).toEqual([])
    await world.deliver([varied(seven, () => ({ after: { a: 7, b: '__debezium_unavailable_value' } }))])
    expect(await world.rows('Nullable')).toEqual([])
    expect(await world.parked()).toMatchObject([
      { key: '[7]', reason: expect.stringContaining('whose key was null, which is not kept') },
    ])
    await world.deliver([seven])
    expect(await world.rows('Nullable')).toEqual([{ a: 7, b: 'n1' }])
  })
})

test('fact 15 a generated column is read by the snapshot and missing from the stream: absent is not null', async () => {
  const world = await openWorld(
    'type Generated @entity(domain: "odd", key: "id", source: { topic: "odd.public.gen_t" }) { id: Int! a: Int! twice: Int }',
  )
  const [made, another, changed] = sampleRecords('debezium/public.gen_t.jsonl')
  const read = varied(made!, ({ after }) => ({
    op: 'r',
    after: { ...after, twice: 10 },
    source: { snapshot: 'last', lsn: 197_961_784, sequence: '[null,"197961784"]' },
  }))
  await world.deliver([read])
  expect(await world.rows('Generated')).toEqual([{ id: 1, a: 5, twice: 10 }])
  expect(Object.keys(envelopeOf(changed!)!.after!)).toEqual(['id', 'a'])
  await world.deliver([changed!])
  expect(await world.rows('Generated')).toEqual([{ id: 1, a: 7, twice: 10 }])
  // A new row tells that the stream has none of it.
  const warn = vi.spyOn(log, 'warn')
  await world.deliver([another!, another!])
  expect(warn.mock.calls).toEqual([
    [
      'column.lacking',
      {
        column: 'Generated.twice',
        reason: expect.stringMatching(/it is generated, was renamed or dropped.*replay --snapshot/),
      },
    ],
  ])
  warn.mockRestore()
})

test('fact 16 names that a topic can not hold are adjusted in its own name alone: columns and source keep theirs', async () => {
  const world = await openWorld(`
    type OrderItem @entity(domain: "odd", key: ["orderId", "lineNo"], source: { topic: "odd.Mixed_Case.Order_Items", naming: AS_IS }) {
      orderId: Int! @column(name: "Order Id")
      lineNo: Int!
      quantity: Decimal @column(name: "Qty", scale: 3)
      select: String
    }`)
  const records = sampleRecords('debezium/Mixed_Case.Order_Items.jsonl')
  expect(envelopeOf(records[0]!)!.source).toMatchObject({ schema: 'Mixed Case', table: 'Order Items' })
  await world.deliver(records)
  expect(await world.rows('OrderItem')).toEqual([{ orderId: 1, lineNo: 2, quantity: '9.250', select: null }])
})
