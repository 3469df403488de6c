/** Entities whose rows are the elements of an array in a record: a record replaces what its parent had before. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { LogRecord } from '../../src/ingest/change.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import { entityTable } from '../../src/model/names.ts'
import { type Engine, openEngine } from '../law/engine.ts'
import { loadModel } from '../law/model.ts'
import { expectApplied, stretchOf } from '../law/stretch.ts'

/** Debezium gives each record a version; the tickets' source numbers its documents; a stay's and its night's key are several columns. */
const SCHEMA = `
extend schema @domain(name: "shop", owner: "test")
type Order @entity(domain: "shop", key: "id", shared: true, source: { topic: "orders" }) { id: Long!, name: String }
type Line @entity(domain: "shop", key: ["orderId", "number"], shared: true, source: { topic: "orders", each: "lines" }) {
  orderId: Long! @column(name: "id")
  number: Int!
  units: Int!
}
type Tag @entity(domain: "shop", key: ["ticketId", "tag"], shared: true, source: { topic: "tickets", format: JSON, version: "version", each: "tags" }) {
  ticketId: ID! @column(name: "id")
  tag: String!
  weight: Int
}
type Night @entity(domain: "shop", key: ["hotel", "room", "at"], shared: true, source: { topic: "stays", format: JSON, version: "version", each: "nights" }) {
  hotel: String!
  room: Long!
  at: DateTime!
  guests: Int!
}
`
/** Beyond what a double holds. */
const BIG = '9007199254740993'

let engine: Engine
beforeAll(async () => {
  engine = await openEngine(await loadModel(SCHEMA.replaceAll(', shared: true', '')))
})
afterAll(() => engine?.database.drop())
let next = new Map<string, bigint>()
beforeEach(async () => {
  next = new Map()
  await engine.database
    .sql`truncate shop.order, shop.line, shop.tag, shop.night, forebay.documents, forebay.positions, forebay.dirty`
})

type Sent = { readonly key: string; readonly value: string | null }
/** One batch of a topic's partition 0, in this order. */
const deliver = async (topic: string, ...sent: readonly Sent[]) => {
  const from = next.get(topic) ?? 0n
  if (from === 0n)
    await engine.database.sql`insert into forebay.positions (topic, partition, next_offset) values (${topic}, 0, 0)`
  next.set(topic, from + BigInt(sent.length))
  const records = sent.map(
    ({ key, value }, i): LogRecord => ({
      topic,
      partition: 0,
      offset: from + BigInt(i),
      timestamp: 1_795_000_000_000,
      headers: {},
      key: Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
    }),
  )
  expectApplied(await engine.applier.apply([stretchOf(createDecoder(engine.model), records, from)]))
}

type Lines = readonly (readonly [number: number, units: number])[]
const order = (id: string, lsn: number | null, lines: Lines | null): Sent => {
  const row = `{"id":${id},"name":"n","lines":${JSON.stringify(lines?.map(([number, units]) => ({ number, units })))}}`
  const source = { lsn, ts_us: 1_790_000_000_000_000 + (lsn ?? 1000) }
  const op = lines === null ? 'd' : lsn === null ? 'r' : 'c'
  const [before, after] = lines === null ? [`{"id":${id}}`, 'null'] : ['null', row]
  return {
    key: `{"id":${id}}`,
    value: `{"op":"${op}","before":${before},"after":${after},"source":${JSON.stringify(source)}}`,
  }
}
const ticket = (id: string, version: number, ...tags: readonly (readonly [tag: string, weight: number])[]): Sent => ({
  key: id,
  value: JSON.stringify({ id, version, tags: tags.map(([tag, weight]) => ({ tag, weight })) }),
})
const stay = (hotel: string, room: string, version: number, nights: Readonly<Record<string, number>>): Sent => ({
  key: JSON.stringify({ hotel, room }),
  value: JSON.stringify({
    hotel,
    room,
    version,
    nights: Object.entries(nights).map(([at, guests]) => ({ at, guests })),
  }),
})

const live = async (entity: string, columns: string): Promise<string[]> => {
  const table = entityTable(engine.model.entities.get(entity)!)
  const rows = await engine.database.sql.unsafe<{ row: string }[]>(
    `select concat_ws(' ', ${columns}) as row from ${table} where _live order by 1`,
  )
  return rows.map(({ row }) => row)
}
const lines = () => live('Line', 'order_id, number, units')
const tags = () => live('Tag', 'ticket_id, tag, weight')
const nights = () => live('Night', 'hotel, room, forebay.iso(at), guests')

test('elements that a newer record no longer has are deleted', async () => {
  await deliver(
    'orders',
    order('1', 10, [
      [1, 1],
      [2, 2],
      [3, 3],
    ]),
    order('2', 11, [[1, 9]]),
  )
  await deliver(
    'orders',
    order('1', 20, [
      [2, 5],
      [4, 4],
    ]),
  )
  expect(await lines()).toEqual(['1 2 5', '1 4 4', '2 1 9'])
  await deliver('orders', order('1', 30, []))
  expect(await lines()).toEqual(['2 1 9'])
})

test('an older record that comes late brings nothing back, not even an element never seen', async () => {
  await deliver('orders', order('1', 20, [[2, 2]]))
  await deliver(
    'orders',
    order('1', 10, [
      [1, 1],
      [2, 9],
      [7, 7],
    ]),
  )
  expect(await lines()).toEqual(['1 2 2'])
  await deliver('orders', order('1', 20, [[2, 2]]))
  expect(await lines()).toEqual(['1 2 2'])
})

test('the parent’s deletion deletes its elements, and an older record does not bring them back', async () => {
  await deliver('orders', order('1', 10, [[1, 1]]), order('2', 11, [[1, 1]]))
  await deliver('orders', order('1', 20, null))
  expect(await lines()).toEqual(['2 1 1'])
  await deliver(
    'orders',
    order('1', 15, [
      [1, 1],
      [2, 2],
    ]),
  )
  expect(await lines()).toEqual(['2 1 1'])
  await deliver('orders', order('1', 30, [[2, 2]]))
  expect(await lines()).toEqual(['1 2 2', '2 1 1'])
})

test('of several records of one parent in one batch the newest stands', async () => {
  await deliver(
    'orders',
    order('1', 10, [
      [1, 1],
      [2, 2],
    ]),
    order('1', 30, [[2, 3]]),
    order('1', 20, [[3, 3]]),
  )
  expect(await lines()).toEqual(['1 2 3'])
  await deliver('orders', order('1', 40, [[5, 5]]), order('1', 50, null))
  expect(await lines()).toEqual([])
})

test('parents of 64 bits are told apart', async () => {
  await deliver(
    'orders',
    order(BIG, 10, [
      [1, 1],
      [2, 2],
    ]),
    order('9007199254740992', 11, [[1, 5]]),
  )
  await deliver('orders', order(BIG, 20, [[2, 3]]))
  expect(await lines()).toEqual(['9007199254740992 1 5', `${BIG} 2 3`])
})

test('keys of several columns, an instant among them, are the elements’ own however they are written', async () => {
  const [first, second] = ['2026-01-01T12:00:00Z', '2026-01-02T12:00:00.5Z']
  await deliver('stays', stay('Ritz', BIG, 1, { [first]: 1, [second]: 2 }), stay('Savoy', BIG, 1, { [first]: 7 }))
  await deliver('stays', stay('Ritz', BIG, 2, { '2026-01-02T13:00:00.500+01:00': 3 }))
  expect(await nights()).toEqual([`Ritz ${BIG} ${second} 3`, `Savoy ${BIG} ${first} 7`])
})

describe('records without a version of their own', () => {
  const gone = (key: string): Sent => ({ key, value: null })

  test('a tombstone deletes the elements of a source that numbers its documents', async () => {
    await deliver('tickets', ticket('t', 1, ['a', 1], ['b', 2]), ticket('u', 1, ['a', 1]))
    await deliver('tickets', gone('t'))
    expect(await tags()).toEqual(['u a 1'])
    await deliver('tickets', ticket('t', 0, ['a', 1], ['c', 3]))
    expect(await tags()).toEqual(['u a 1'])
    await deliver('tickets', ticket('t', 2, ['c', 3]))
    expect(await tags()).toEqual(['t c 3', 'u a 1'])
  })

  test('a tombstone in one batch with what it follows and what follows it', async () => {
    await deliver('tickets', ticket('t', 1, ['a', 1]))
    await deliver('tickets', ticket('t', 2, ['b', 2]), gone('t'))
    expect(await tags()).toEqual([])
    await deliver('tickets', gone('t'), ticket('t', 3, ['c', 3]))
    expect(await tags()).toEqual(['t c 3'])
    await deliver('tickets', ticket('t', 4, ['d', 4]), gone('t'), ticket('t', 2, ['e', 5]))
    expect(await tags()).toEqual([])
  })

  test('C12 an incremental read wins by offset over what came before it, and the parent keeps its version', async () => {
    await deliver(
      'orders',
      order('1', 20, [
        [1, 1],
        [2, 2],
      ]),
    )
    await deliver(
      'orders',
      order('1', null, [
        [2, 5],
        [3, 3],
      ]),
    )
    expect(await lines()).toEqual(['1 2 5', '1 3 3'])
    await deliver('orders', order('1', 10, [[9, 9]]))
    expect(await lines()).toEqual(['1 2 5', '1 3 3'])
    await deliver(
      'orders',
      order('1', 30, [[3, 4]]),
      order('1', null, [
        [3, 5],
        [4, 4],
      ]),
    )
    expect(await lines()).toEqual(['1 3 5', '1 4 4'])
    await deliver('orders', order('1', 40, [[8, 8]]))
    expect(await lines()).toEqual(['1 8 8'])
  })

  test('C12 an incremental read of a parent never seen gives way to any record of the stream', async () => {
    await deliver('orders', order('1', null, [[1, 1]]))
    await deliver(
      'orders',
      order('1', null, [
        [1, 2],
        [2, 2],
      ]),
    )
    expect(await lines()).toEqual(['1 1 2', '1 2 2'])
    await deliver('orders', order('1', 10, [[3, 3]]))
    expect(await lines()).toEqual(['1 3 3'])
  })
})
