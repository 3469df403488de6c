/** What a replay may write, each as the schedule or the data that its alternative gets wrong. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openNaive } from '../law/naive.ts'
import { hold, untilBlocked } from '../law/stage.ts'
import { change, openStill, type Still } from './replaying.ts'

let s: Still
beforeEach(async () => {
  s = await openStill()
})
afterEach(() => s.close())

const row = async (id: string) => {
  const [found] =
    await s.sql`select name, region, _deleted, _version, _offset, xmin::text from shop.customer where id = ${id}`
  return found
}
/** As if the column had been added after the row was written. */
const forgetRegions = () => s.sql`update shop.customer set region = null`
const logged = () => s.sql<{ keys: unknown; origin: string | null; offsets: unknown }[]>`
  select keys, origin, offsets from forebay.dirty order by id`

describe('live writes while a replay is under way', () => {
  test('without a guard, an image that was read before a change is written over it', async () => {
    const { sql, begin } = await openNaive('create table customer (id text primary key, region text, version int)')
    await sql`insert into customer values ('c', null, 1)`
    const replayed = { id: 'c', region: 'north', version: 1 }
    const live = await begin()
    await live`update customer set region = 'south', version = 2 where id = 'c'`
    await live.commit()
    await sql`insert into customer ${sql(replayed)} on conflict (id) do update set region = excluded.region, version = excluded.version`
    expect(await sql`select region from customer`).toEqual([{ region: 'north' }])
  })

  test('an image that was read before a change stays behind it', async () => {
    await s.put(change({ id: 'c' }, 1, 'c'))
    await s.live()
    await forgetRegions()
    const done = await s.run('earliest', async () => {
      await s.put(change({ id: 'c', region: 'south' }, 2))
      await s.live()
    })
    expect(done).toMatchObject({ result: 'ended', total: 1, refreshed: 0, added: 0 })
    expect(await row('c')).toMatchObject({ region: 'south', _version: '2' })
  })

  test.each(['replay', 'live'] as const)(
    'of both at one row at once, %s first, the newer image stays, and what each replaced is in the log',
    async (first) => {
      await s.put(change({ id: 'c' }, 1, 'c'))
      await s.live()
      await forgetRegions()
      await s.sql`delete from forebay.dirty`
      const held = await hold(s.url, `select * from shop.customer where id = 'c' for update`)
      // What is to be replayed is settled before live goes on.
      const turned = Promise.withResolvers<void>()
      const go = Promise.withResolvers<void>()
      const replaying = s.run('earliest', async () => {
        turned.resolve()
        await go.promise
      })
      await turned.promise
      if (first === 'replay') {
        go.resolve()
        await untilBlocked(s.sql, 1)
      }
      await s.put(change({ id: 'c', region: 'south' }, 2))
      const living = s.live()
      await untilBlocked(s.sql, first === 'replay' ? 2 : 1)
      if (first === 'live') {
        go.resolve()
        await untilBlocked(s.sql, 2)
      }
      await held.release()
      await living
      expect(await replaying).toMatchObject({ result: 'ended', refreshed: first === 'replay' ? 1 : 0 })
      expect(await row('c')).toMatchObject({ region: 'south', _version: '2' })
      expect(await logged()).toHaveLength(first === 'replay' ? 2 : 1)
    },
  )
})

describe('C12 a row is written anew by the record it stands on, and by no other', () => {
  test('C12 a record whose version the row still has, though an incremental read has renewed it, brings nothing back', async () => {
    await s.put(change({ id: 'c', region: 'old' }, 7, 'c'), change({ id: 'c', region: 'new' }, 0, 'r'))
    await s.live()
    const before = await row('c')
    expect(before).toMatchObject({ region: 'new', _version: '7', _offset: '1' })
    expect(await s.run('earliest')).toMatchObject({ added: 0, refreshed: 0 })
    expect(await row('c')).toEqual(before)
    await forgetRegions()
    expect(await s.run('earliest')).toMatchObject({ added: 0, refreshed: 1 })
    expect(await row('c')).toMatchObject({ region: 'new', _version: '7', _offset: '1' })
  })

  test('C12 a row that an incremental read began has no version, and what came before that read is older all the same', async () => {
    await s.put(change({ id: 'c', region: 'old' }, 7, 'c'))
    await s.live()
    await s.sql`delete from shop.customer`
    await s.put(change({ id: 'c', region: 'new' }, 0, 'r'))
    await s.live()
    const before = await row('c')
    expect(before).toMatchObject({ region: 'new', _version: '-1' })
    await s.run('earliest')
    expect(await row('c')).toEqual(before)
  })

  test('a deleted row stays deleted, at every moment', async () => {
    await s.put(change({ id: 'c' }, 1, 'c'), change({ id: 'c' }, 2, 'd'))
    await s.live()
    const before = await row('c')
    expect(await s.run('earliest')).toMatchObject({ added: 0, refreshed: 0 })
    expect(await row('c')).toEqual(before)
    expect(before).toMatchObject({ _deleted: true })
  })

  test('a record that leaves a column out keeps what is stored of it, and is counted', async () => {
    await s.put(change({ id: 'c', region: 'north' }, 1, 'c'))
    await s.put(change({ id: 'c', name: 'Bea', region: '__debezium_unavailable_value' }, 2))
    await s.live()
    const before = await row('c')
    expect(before).toMatchObject({ name: 'Bea', region: 'north' })
    expect(await s.run('earliest')).toMatchObject({ refreshed: 0, partial: 1 })
    expect(await row('c')).toEqual(before)
  })
})

describe('C22 what a replay logs', () => {
  test('C22 its origin is when it wrote, not how old its records are, so that asOf is not dragged back', async () => {
    await s.put(change({ id: 'c' }, 1, 'c'))
    await s.live()
    await forgetRegions()
    await s.sql`delete from forebay.dirty`
    await s.sql`update forebay.positions set frontier = now() - interval '1 hour'`
    const [before] = await s.sql<{ at: string }[]>`select clock_timestamp() as at`
    expect(await s.run('earliest')).toMatchObject({ refreshed: 1 })
    const [entry] = await logged()
    expect(entry).toMatchObject({ keys: [['c']], offsets: {} })
    expect(entry!.origin! >= before!.at).toBe(true)
  })

  test('a row whose columns no view reads is written without an entry', async () => {
    await s.put(change({ id: 'c' }, 1, 'c'))
    await s.live()
    await s.sql`delete from forebay.dirty`
    await s.sql`update shop.customer set _event_time = null`
    expect(await s.run('earliest')).toMatchObject({ refreshed: 1 })
    expect(await logged()).toEqual([])
  })
})

describe('records that can’t be read', () => {
  const states = () => s.sql<{ offset: string; state: string; reason: string }[]>`
    select "offset", state, reason from forebay.quarantine order by "offset"`
  const broken = {
    ...change({ id: 'c' }, 1),
    value: Buffer.from('{"op":"u","after":{"id":"c","name":{"a":1}},"source":{"lsn":1}}'),
  }
  const nobody = { key: null, value: Buffer.from('{') }

  test('what lies in quarantine stays there, untouched, for redrive', async () => {
    await s.put(change({ id: 'd' }, 1, 'c'), broken)
    await s.live()
    const before = await states()
    expect(before).toMatchObject([{ offset: '1', state: 'PARKED' }])
    await forgetRegions()
    expect(await s.run('earliest')).toMatchObject({ refreshed: 1, parked: 1, unreadable: 0 })
    expect(await states()).toEqual(before)
  })

  test('C19 what can’t be read any more is parked where its row stands on it, and passed over where a later one is stored', async () => {
    await s.put(change({ id: 'c' }, 1, 'c'), change({ id: 'd' }, 2, 'c'), change({ id: 'c', region: 'south' }, 3))
    await s.live()
    await s.sql`update forebay.journal set value = ${broken.value} where "offset" = 0`
    await s.sql`update forebay.journal set value = ${Buffer.from(String(broken.value).replace('"c"', '"d"'))} where "offset" = 1`
    expect(await s.run('earliest')).toMatchObject({ refreshed: 0, parked: 1, unreadable: 1 })
    expect(await states()).toMatchObject([{ offset: '1', state: 'PARKED' }])
    expect(await row('d')).toMatchObject({ name: 'Ann' })
    expect(await s.run('earliest')).toMatchObject({ parked: 1, unreadable: 1 })
    expect(await states()).toHaveLength(1)
  })

  test('one of which not even the key can be told is passed over, and its partition goes on', async () => {
    await s.put(change({ id: 'c' }, 1, 'c'), change({ id: 'd' }, 2, 'c'))
    await s.live()
    await s.sql`update forebay.journal set key = null, value = ${nobody.value} where "offset" = 0`
    await forgetRegions()
    expect(await s.run('earliest')).toMatchObject({ result: 'ended', refreshed: 1, parked: 0, unreadable: 1 })
    expect(await states()).toEqual([])
    expect(await s.sql`select state from forebay.positions`).toEqual([{ state: 'RUNNING' }])
  })
})
