/** conflict: FIELD_CLOCK where more than one row or record takes part: truncates, changed keys, tenants, quarantine, replays. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createApplier } from '../../src/ingest/apply/apply.ts'
import { itemOf } from '../../src/ingest/apply/stretch.ts'
import { createWrite } from '../../src/ingest/apply/write.ts'
import type { CellValue, Change, Truncate } from '../../src/ingest/change.ts'
import { startSweeper } from '../../src/ingest/sweep.ts'
import { openStage, type Stage } from './stage.ts'

const NOTES = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "law")
type Note @entity(domain: "shop", key: "id", conflict: FIELD_CLOCK, source: { topic: "log" }) { id: ID!, tenantId: ID! @tenant, text: String, stars: Int }
type Plain @entity(domain: "shop", key: "id", source: { topic: "plain" }) { id: ID!, tenantId: ID! @tenant, text: String, stars: Int }
type NoteView @view(of: "Note") @allow(roles: [READER]) { id: ID!, text: String, stars: Int }
`
const ALL = { tenantId: 'acme', text: 'old', stars: 1 }

let s: Stage
beforeEach(async () => {
  s = await openStage(NOTES)
})
afterEach(() => s.close())

/** What is not among the cells is absent. */
const write = (id: string, at: number, cells: Record<string, CellValue> = ALL, entity = 'Note'): Change => ({
  entity,
  op: 'upsert',
  row: { id, ...cells },
  absent: Object.keys(ALL).filter((name) => !(name in cells)),
  version: { kind: 'ordered', epoch: 0, major: BigInt(at), minor: 0n },
  eventTime: null,
  live: false,
  position: { topic: 'log', partition: 0, offset: 0n },
})
const remove = (id: string, at: number): Change => ({ ...write(id, at), op: 'delete', row: { id }, absent: [] })
const rows = async (entity = 'note') =>
  (
    await s.database.sql.unsafe<{ said: string }[]>(
      `select concat_ws(' ', id, coalesce(text, '-'), coalesce(stars::text, '-'), case when _live then 'live' end) as said from shop.${entity} where not _deleted order by id`,
    )
  ).map(({ said }) => said)

const truncate = async (partition: number, at: number) => {
  await s.database
    .sql`insert into forebay.positions (topic, partition, next_offset) values ('log', ${partition}, 0) on conflict do nothing`
  const batch = s.stretch(partition, [write('unused', 1)])
  const one: Truncate = {
    entity: 'Note',
    version: { kind: 'ordered', epoch: 0, major: BigInt(at), minor: 0n },
    eventTime: null,
    position: { topic: 'log', partition, offset: batch.from },
  }
  return s.applier.apply([{ ...batch, items: batch.items.map((item) => ({ ...item, changes: [], truncates: [one] })) }])
}
const sweep = () =>
  startSweeper({
    sql: s.database.sql,
    model: s.model,
    catalog: s.catalog,
    source: { extents: async () => [] },
    ttl: 'P30D',
    auto: false,
  }).sweep()

test('C17 with field clocks a truncate takes away what is older than it, and leaves what a later partial change wrote', async () => {
  await s.apply(0, write('n', 1), write('n', 20, { text: 'new', tenantId: 'acme' }), write('gone', 2))
  await truncate(7, 10)
  await sweep()
  expect(await rows()).toEqual(['n new - live'])
  await s.drain()
  expect(await s.read('NoteView', 'n')).toMatchObject({ text: 'new', stars: null })
  expect(await s.apply(1, write('n', 9, { stars: 5 }))).toMatchObject({ rows: 0, dropped: [{ reason: 'truncated' }] })
  expect(await rows()).toEqual(['n new - live'])
})

const moved = (id: string, from: string, at: number, cells: Record<string, CellValue>): Change => ({
  ...write(id, at, cells),
  keyChange: { side: 'new', id: String(at), key: { id: from } },
})
const left = (id: string, to: string, at: number): Change => ({
  ...remove(id, at),
  keyChange: { side: 'old', id: String(at), key: { id: to } },
})

describe('C15 with field clocks', () => {
  const sides = [
    () => s.apply(0, left('a', 'b', 5)),
    () => s.apply(1, moved('b', 'a', 5, { stars: 2, tenantId: 'acme' })),
  ] as const
  test.each([
    ['the delete first', [0, 1]],
    ['the upsert first', [1, 0]],
  ] as const)('what a changed key leaves out comes from the old key’s row, %s', async (_, [first, second]) => {
    await s.apply(0, write('a', 1))
    await sides[first]()
    await sides[second]()
    expect(await rows()).toEqual(['b old 2 live'])
    // As old as the change of the key: an earlier one does not count, a later one does.
    await s.apply(1, write('b', 4, { text: 'earlier' }))
    expect(await rows()).toEqual(['b old 2 live'])
    await s.apply(1, write('b', 6, { text: 'later' }))
    expect(await rows()).toEqual(['b later 2 live'])
  })

  test('a later change that comes before the old image keeps its field', async () => {
    await s.apply(0, write('a', 1))
    await s.apply(1, moved('b', 'a', 5, { stars: 2, tenantId: 'acme' }), write('b', 6, { stars: 3 }))
    expect(await rows()).toEqual(['a old 1 live', 'b - 3'])
    await s.apply(1, write('b', 7, { text: 'later' }))
    expect(await rows()).toEqual(['a old 1 live', 'b later 3 live'])
    await s.apply(0, left('a', 'b', 5))
    expect(await rows()).toEqual(['b later 3 live'])
  })

  test('a key changed twice is filled through both, though the first delete comes last; again, it changes nothing', async () => {
    await s.apply(0, write('a', 1))
    await s.apply(1, moved('b', 'a', 5, { stars: 2, tenantId: 'acme' }), left('b', 'c', 6))
    await s.apply(2, moved('c', 'b', 6, { stars: 3, tenantId: 'acme' }))
    expect(await rows()).toEqual(['a old 1 live', 'c - 3'])
    await s.apply(0, left('a', 'b', 5))
    expect(await rows()).toEqual(['c old 3 live'])
    await s.apply(2, moved('c', 'b', 6, { stars: 3, tenantId: 'acme' }))
    expect(await rows()).toEqual(['c old 3 live'])
  })

  test('deleted while it waits, it waits no more', async () => {
    await s.apply(1, moved('b', 'a', 5, { stars: 2, tenantId: 'acme' }), remove('b', 6))
    await s.apply(1, write('b', 7, { stars: 4, tenantId: 'acme' }))
    expect(await rows()).toEqual(['b - 4 live'])
    await s.apply(0, write('a', 1, { ...ALL, text: 'other' }), left('a', 'b', 5))
    expect(await rows()).toEqual(['b - 4 live'])
  })
})

test.each(['Note', 'Plain'])('a partial change that leaves out the tenant is applied (%s)', async (entity) => {
  await s.apply(0, write('n', 1, ALL, entity))
  expect(await s.apply(0, write('n', 2, { text: 'new' }, entity))).toMatchObject({ rows: 1, dropped: [] })
  expect(await rows(entity.toLowerCase())).toEqual(['n new 1 live'])
})

test('a change that some fields of came too late is counted, one that all of did as older', async () => {
  await s.apply(0, write('n', 10, { text: 'new' }))
  expect(await s.apply(0, write('n', 5))).toMatchObject({
    rows: 1,
    dropped: [{ entity: 'Note', reason: 'older-fields', count: 1 }],
  })
  expect(await s.apply(0, write('n', 4))).toMatchObject({ rows: 0, dropped: [{ reason: 'older', count: 1 }] })
  expect(await rows()).toEqual(['n new 1 live'])
})

test('C19 with field clocks a partial change does not wait behind a parked one, which fills in its own fields when it is redriven', async () => {
  const parked = s.stretch(0, [write('n', 3)])
  await s.database.sql`insert into forebay.positions (topic, partition, next_offset) values ('log', 0, 0)`
  const told = { key: { id: 'n' }, row: {}, absent: [], gone: false, major: 3n }
  const items = parked.items.map(({ record }) => ({
    ...itemOf(record, []),
    bad: [{ record, entity: 'Note', reason: 'unknown value', epoch: 0, told }],
  }))
  expect(await s.applier.apply([{ ...parked, items }])).toMatchObject({ parked: 1 })
  const partial = { ...s.stretch(0, [write('n', 5, { text: 'new', tenantId: 'acme' })]), from: 1n, to: 2n }
  expect(await createApplier(s.database.sql, s.model, s.catalog).apply([partial])).toMatchObject({
    rows: 1,
    waiting: 0,
  })
  expect(await rows()).toEqual(['n new - live'])
  const writer = createWrite(s.model, s.catalog)
  await s.database.sql.begin((tx) => writer(tx, [write('n', 3)], { origin: null, offsets: '{}' }))
  expect(await rows()).toEqual(['n new 1 live'])
})

test('C19 a replay reads a field’s own record anew, and no other', async () => {
  await s.apply(0, write('n', 1), write('n', 5, { text: 'new' }))
  const again = createWrite(s.model, s.catalog, { refresh: true })
  const replay = (change: Change) => s.database.sql.begin((tx) => again(tx, [change], { origin: null, offsets: '{}' }))
  expect(await replay(write('n', 1))).toMatchObject({ rows: 0 })
  expect(await replay(write('n', 1, { ...ALL, stars: 7 }))).toMatchObject({ rows: 1 })
  expect(await rows()).toEqual(['n new 7 live'])
  expect(await replay(write('n', 5, { text: 'mended' }))).toMatchObject({ rows: 1 })
  expect(await rows()).toEqual(['n mended 7 live'])
})
