/** C12 by MySQL's binlog: the file's number, then the position, then the row within the event; with a GTID or without. */
import { expect, test } from 'vitest'
import type { LogRecord } from '../../src/ingest/change.ts'
import { openWorld, type World } from '../facts/world.ts'

const openShop = () =>
  openWorld(
    'type Item @entity(domain: "odd", key: "id", source: { topic: "shop.items" }) { id: Long!, name: String, note: String }',
  )

type Place = { readonly file: string; readonly pos: number; readonly row?: number; readonly gtid?: string | null }
/** Without a name: a delete. `second`: when; MySQL's binlog tells no more. */
const change = (
  { file, pos, row = 0, gtid = null }: Place,
  name: string | null,
  { op = name === null ? 'd' : 'u', second = 0, note = null as string | null, id = 1 } = {},
): LogRecord => ({
  topic: 'shop.items',
  partition: 0,
  offset: 0n,
  timestamp: 0,
  headers: {},
  key: Buffer.from(`{"id":${id}}`),
  value: Buffer.from(
    JSON.stringify({
      op,
      before: name === null ? { id, name: null, note: null } : null,
      after: name === null ? null : { id, name, note },
      source: {
        version: '3.4.0.Final',
        connector: 'mysql',
        name: 'shop',
        ts_ms: 1_790_000_000_000 + 1_000 * second,
        ts_us: 1_790_000_000_000_000 + 1_000_000 * second,
        snapshot: op === 'r' ? 'true' : 'false',
        db: 'shop',
        table: 'items',
        server_id: 223344,
        gtid,
        file,
        pos,
        row,
        thread: 7,
        query: null,
      },
    }),
  ),
})
const names = async (world: World) => (await world.rows('Item')).map(({ id, name }) => `${id} ${name}`)

test.each([
  ['the position within a file', { file: 'binlog.000003', pos: 9_000 }, { file: 'binlog.000003', pos: 10_000 }],
  [
    'the next file, whose positions begin anew',
    { file: 'binlog.000009', pos: 734_003_200 },
    { file: 'binlog.000010', pos: 4 },
  ],
  [
    'the millionth file, which has a digit more',
    { file: 'mysql-bin.999999', pos: 8_000 },
    { file: 'mysql-bin.1000000', pos: 4 },
  ],
  [
    'a position beyond 31 bits',
    { file: 'binlog.000003', pos: 2_147_483_648 },
    { file: 'binlog.000003', pos: 4_294_967_295 },
  ],
  ['rows of one event', { file: 'binlog.000003', pos: 500, row: 9 }, { file: 'binlog.000003', pos: 500, row: 10 }],
  [
    'the place and not the GTID',
    { file: 'binlog.000003', pos: 500, gtid: 'f0e1d2c3-0000-0000-0000-000000000001:100' },
    { file: 'binlog.000003', pos: 600, gtid: '00112233-0000-0000-0000-000000000002:7' },
  ],
])('C12 the later is told by %s, whichever comes first', async (_, earlier, later) => {
  const world = await openShop()
  for (const order of [
    [earlier, later],
    [later, earlier],
  ]) {
    await world.empty()
    for (const place of order) await world.deliver([change(place, place === later ? 'later' : 'earlier')])
    expect(await names(world)).toEqual(['1 later'])
    expect(await world.stopped()).toEqual([])
  }
})

test('C12 what a connector sends again after a restart is a duplicate, also without a GTID', async () => {
  const world = await openShop()
  const sent = [
    change({ file: 'binlog.000003', pos: 400 }, 'one'),
    change({ file: 'binlog.000003', pos: 500 }, 'two', { second: 1 }),
    change({ file: 'binlog.000004', pos: 4 }, null, { second: 2 }),
  ]
  await world.deliver(sent)
  expect(await names(world)).toEqual([])
  expect(await world.deliver(sent)).toMatchObject({ older: 2, duplicate: 1 })
  expect(await names(world)).toEqual([])
  await world.deliver([change({ file: 'binlog.000004', pos: 90 }, 'back', { second: 3 })])
  await world.deliver(sent.slice(1))
  expect(await names(world)).toEqual(['1 back'])
})

test('C12 a snapshot’s read has the place where the stream goes on, and loses against the change that is there', async () => {
  const place = { file: 'binlog.000003', pos: 157 }
  const world = await openShop()
  for (const order of [
    [change(place, 'read', { op: 'r' }), change(place, 'streamed', { second: 1 })],
    [change(place, 'streamed', { second: 1 }), change(place, 'read', { op: 'r' })],
  ]) {
    await world.empty()
    for (const record of order) await world.deliver([record])
    expect(await names(world)).toEqual(['1 streamed'])
  }
})

test('C12 keys that one statement moves on by one end as the source has them', async () => {
  const world = await openShop()
  const at = (row: number): Place => ({ file: 'binlog.000003', pos: 900, row })
  const insert = (pos: number, name: string, id: number) =>
    change({ file: 'binlog.000003', pos }, name, { op: 'c', id })
  await world.deliver([insert(100, 'first', 1), insert(200, 'second', 2)])
  // update items set id = id + 1 order by id desc
  const shifted = [
    change(at(0), null, { id: 2 }),
    change(at(0), 'second', { op: 'c', id: 3 }),
    change(at(1), null, { id: 1 }),
    change(at(1), 'first', { op: 'c', id: 2 }),
  ]
  await world.deliver(shifted)
  expect(await names(world)).toEqual(['2 first', '3 second'])
  await world.deliver(shifted)
  expect(await names(world)).toEqual(['2 first', '3 second'])
})

test('C14 a binlog that begins anew is told as such, and never read as all old', async () => {
  const world = await openShop()
  await world.deliver([change({ file: 'binlog.000042', pos: 500 }, 'before')])
  await world.deliver([change({ file: 'binlog.000001', pos: 157 }, 'after the reset', { second: 60 })]).catch(() => {})
  expect(await world.stopped()).toMatchObject([
    { partition: 'shop.items-0', reason: expect.stringContaining('restored or replaced') },
  ])
  expect(await names(world)).toEqual(['1 before'])
})

test('a change of a MySQL source that carries no place is parked, and says what to declare', async () => {
  const world = await openShop()
  const { value, ...rest } = change({ file: 'binlog.000042', pos: 500 }, 'x')
  const text = value!.toString().replace('"file":"binlog.000042",', '')
  await world.deliver([{ ...rest, value: Buffer.from(text) }])
  expect(await world.parked()).toMatchObject([{ reason: expect.stringContaining('declare `version`') }])
})
