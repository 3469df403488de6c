/**
 * Schedules that lose an update, or leave a stale row, where a rule is broken. Each plays on a small wrong variant first and is seen
 * to fail there; then the same schedule plays on the engine, whose view must equal its query at the end.
 */
import { afterEach, describe, expect, test } from 'vitest'
import { openNaive } from './naive.ts'
import { brake, customer, hold, holdBrake, line, openStage, order, type Stage, untilBlocked } from './stage.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
const naive = async (ddl: string) => {
  const opened = await openNaive(ddl)
  closing.push(opened.close)
  return opened
}
/** Brakes a and b are there to be held. */
const stage = async (): Promise<Stage> => {
  const opened = await openStage()
  closing.push(opened.close)
  await opened.apply(99, brake('a', 1), brake('b', 1))
  return opened
}

/** Children of two levels, so that a grandchild's root is found through a row that another writer moves. */
const TWO_LEVELS = `
  create table parent (id text primary key, root text);
  create table child (id text primary key, parent text);
  create table dirty (seq bigint generated always as identity, key text);
  create table view (root text primary key, n int)`
/** The wrong and the right ones alike: rewrites a key's row from what is visible. */
const RECOMPUTE = `
  insert into view select k, (select count(*) from child c join parent p on p.id = c.parent where p.root = k) from unnest($1::text[]) k
  on conflict (root) do update set n = excluded.n`

describe('C1 join values are logged raw and resolved after the commit', () => {
  test('keys resolved in the writer’s own transaction lose a child whose parent moves meanwhile', async () => {
    const { sql, begin } = await naive(TWO_LEVELS)
    await sql`insert into parent values ('p', 'old')`
    const addsChild = await begin()
    await addsChild`insert into child values ('c', 'p')`
    await addsChild`insert into dirty (key) select root from parent where id = 'p'`
    const movesParent = await begin()
    await movesParent`update parent set root = 'new' where id = 'p'`
    await movesParent`insert into dirty (key) values ('old'), ('new')`
    await movesParent.commit()
    const maintain = async () => {
      const keys = (await sql`delete from dirty returning key`).map((row) => row.key as string)
      await sql.unsafe(RECOMPUTE, [keys])
    }
    await maintain()
    await addsChild.commit()
    await maintain()
    expect(await sql`select n from view where root = 'new'`).toEqual([{ n: 0 }])
  })

  test('the engine finds the child’s root where it is by then', async () => {
    const s = await stage()
    await s.apply(0, customer('old', 1), customer('new', 1), order('p', 'old', 1))
    await s.drain()
    const brakeA = await holdBrake(s, 'a')
    const addsLine = s.apply(1, line('c', 'p', 1), brake('a', 2))
    await untilBlocked(s.database.sql, 1)
    await s.apply(2, order('p', 'new', 2))
    await s.drain()
    await brakeA.release()
    await addsLine
    await s.drain()
    expect(await s.read('CustomerOrders', 'new')).toMatchObject({ units: '1' })
    expect(await s.read('CustomerOrders', 'old')).toMatchObject({ units: '0', orders: 0 })
  })
})

const ONE_LEVEL = `
  create table child (id text primary key, root text);
  create table dirty (seq bigint generated always as identity, key text);
  create table view (root text primary key, n int)`
const RECOUNT = `
  insert into view select k, (select count(*) from child c where c.root = k) from unnest($1::text[]) k
  on conflict (root) do update set n = excluded.n`

describe('C4 old images are those of the version really replaced', () => {
  test('an old image read before the lock misses the root that another writer gave meanwhile', async () => {
    const { sql, begin } = await naive(ONE_LEVEL)
    await sql`insert into child values ('c', 'one')`
    const maintain = async () => {
      const keys = (await sql`delete from dirty returning key`).map((row) => row.key as string)
      await sql.unsafe(RECOUNT, [keys])
    }
    const moveTo = async (session: Awaited<ReturnType<typeof begin>>, root: string, old: string) => {
      await session`update child set root = ${root} where id = 'c'`
      await session`insert into dirty (key) values (${old}), (${root})`
    }
    const first = await begin()
    await moveTo(first, 'two', 'one')
    const second = await begin()
    const [seen] = await second`select root from child where id = 'c'`
    const waiting = moveTo(second, 'three', seen!.root)
    await untilBlocked(sql, 1)
    await first.commit()
    await waiting
    await maintain()
    await second.commit()
    await maintain()
    expect(await sql`select n from view where root = 'two'`).toEqual([{ n: 1 }])
  })

  test('the engine logs the root that it really took the row from', async () => {
    const s = await stage()
    await s.apply(0, customer('one', 1), customer('two', 1), customer('three', 1), order('c', 'one', 1))
    await s.drain()
    const [brakeA, brakeB] = [await holdBrake(s, 'a'), await holdBrake(s, 'b')]
    const first = s.apply(1, order('c', 'two', 2), brake('a', 2))
    await untilBlocked(s.database.sql, 1)
    const second = s.apply(2, order('c', 'three', 3), brake('b', 2))
    await untilBlocked(s.database.sql, 2)
    await brakeA.release()
    await first
    await s.drain()
    expect(await s.read('CustomerOrders', 'two')).toMatchObject({ orders: 1 })
    await brakeB.release()
    await second
    await s.drain()
    const counts = await Promise.all(['one', 'two', 'three'].map((id) => s.read('CustomerOrders', id)))
    expect(counts.map((row) => row?.orders)).toEqual([0, 0, 1])
  })
})

describe('C5 exactly the entries that were seen are taken', () => {
  test('a unique dirty key loses what is logged while its entry is being worked', async () => {
    const { sql, begin } = await naive(`${ONE_LEVEL}; create unique index on dirty (key)`)
    await sql`insert into child values ('c1', 'k')`
    await sql`insert into dirty (key) values ('k')`
    const writer = await begin()
    await writer`insert into child values ('c2', 'k')`
    await writer`insert into dirty (key) values ('k') on conflict do nothing`
    const taken = await sql`delete from dirty returning key`
    await sql.unsafe(RECOUNT, [taken.map((row) => row.key as string)])
    await writer.commit()
    expect(await sql`select key from dirty`).toEqual([])
    expect(await sql`select n from view`).toEqual([{ n: 1 }])
  })

  test('a watermark by sequence skips the entry of a writer that commits later', async () => {
    const { sql, begin } = await naive(ONE_LEVEL)
    let watermark = '0'
    const maintain = async () => {
      const seen = await sql<
        { seq: string; key: string }[]
      >`select seq, key from dirty where seq > ${watermark} order by seq`
      watermark = seen.at(-1)?.seq ?? watermark
      await sql.unsafe(RECOUNT, [seen.map((row) => row.key)])
    }
    const slow = await begin()
    await slow`insert into child values ('c1', 'slow')`
    await slow`insert into dirty (key) values ('slow')`
    await sql`insert into dirty (key) values ('quick')`
    await maintain()
    await slow.commit()
    await maintain()
    expect(await sql`select n from view where root = 'slow'`).toEqual([])
  })

  test('the engine keeps an entry that was logged while an earlier one of its key was worked', async () => {
    const s = await stage()
    await s.apply(0, customer('k', 1), order('c1', 'k', 1))
    const brakeA = await holdBrake(s, 'a')
    const writer = s.apply(1, order('c2', 'k', 1), brake('a', 2))
    await untilBlocked(s.database.sql, 1)
    await s.drain()
    expect(await s.read('CustomerOrders', 'k')).toMatchObject({ orders: 1 })
    await brakeA.release()
    await writer
    await s.drain()
    expect(await s.read('CustomerOrders', 'k')).toMatchObject({ orders: 2 })
  })

  test('the engine takes an entry whose number is lower than those it has worked', async () => {
    const s = await stage()
    await s.apply(0, customer('slow', 1), customer('quick', 1))
    await s.drain()
    const brakeA = await holdBrake(s, 'a')
    const slow = s.apply(1, order('c1', 'slow', 1), brake('a', 2))
    await untilBlocked(s.database.sql, 1)
    await s.apply(2, order('c2', 'quick', 1))
    await s.drain()
    expect(await s.read('CustomerOrders', 'quick')).toMatchObject({ orders: 1 })
    await brakeA.release()
    await slow
    await s.drain()
    expect(await s.read('CustomerOrders', 'slow')).toMatchObject({ orders: 1 })
  })
})

describe('C6 one maintainer owns a view key', () => {
  test('without an owner an older count overwrites a newer one', async () => {
    const { sql, begin } = await naive(ONE_LEVEL)
    await sql`insert into child values ('c1', 'k')`
    const count = `select count(*)::int as n from child where root = 'k'`
    const write = 'insert into view values ($1, $2) on conflict (root) do update set n = excluded.n'
    const slow = await begin()
    const [older] = await slow.unsafe(count)
    await sql`insert into child values ('c2', 'k')`
    const [newer] = await sql.unsafe(count)
    await sql.unsafe(write, ['k', newer!.n])
    await slow.unsafe(write, ['k', older!.n])
    await slow.commit()
    expect(await sql`select n from view`).toEqual([{ n: 1 }])
  })

  test('the engine’s second maintainer leaves alone what the first one owns, and takes it over when that one is gone', async () => {
    const s = await stage()
    await s.apply(0, customer('k', 1), order('c1', 'k', 1))
    await s.drain()
    const row = await hold(s.database.url, `select * from ${tableOf(s)} where id = 'k' for update`)
    const first = s.maintainer()
    await first.maintainer.round()
    await s.apply(0, order('c2', 'k', 1))
    // Whoever owns the key stops at the held row, its snapshot taken.
    const second = s.maintainer()
    const rounds = [drainOnce(first), drainOnce(second), s.drain()]
    await untilBlocked(s.database.sql, 1)
    await s.apply(0, order('c3', 'k', 1))
    await new Promise((resolve) => setTimeout(resolve, 300))
    const [waiting] = await s.database.sql<{ n: number }[]>`
      select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    expect(waiting!.n, 'sessions at the held row').toBe(1)
    await row.release()
    await Promise.all(rounds)
    await settle(s, [first, second])
    expect(await s.read('CustomerOrders', 'k')).toMatchObject({ orders: 3 })
  })
})

describe('the fence', () => {
  const POSITIONS = `
    create table position (partition int primary key, next_offset int);
    insert into position values (0, 0);
    create table child (id text, root text)`

  test('a position that is written without comparing it lets a consumer that lost its partition apply a batch twice', async () => {
    const { sql, begin } = await naive(POSITIONS)
    const applyBatch = async (session: Awaited<ReturnType<typeof begin>>) => {
      await session`insert into child values ('c', 'k')`
      await session`update position set next_offset = 1 where partition = 0`
      await session.commit()
    }
    const [former, present] = [await begin(), await begin()]
    await applyBatch(former)
    await applyBatch(present)
    expect(await sql`select count(*)::int as n from child`).toEqual([{ n: 2 }])
  })

  test('the engine applies one of two equal batches, and nothing of the other', async () => {
    const s = await stage()
    await s.apply(0, customer('k', 1))
    const batch = s.stretch(0, [order('c1', 'k', 1), brake('a', 2)])
    const held = await holdBrake(s, 'a')
    const former = s.applier.apply([batch])
    await untilBlocked(s.database.sql, 1)
    const present = s.applier.apply([{ ...batch, items: s.stretch(0, [order('c2', 'k', 1), brake('b', 2)]).items }])
    await untilBlocked(s.database.sql, 2)
    await held.release()
    expect([(await former).kind, (await present).kind]).toEqual(['applied', 'lost'])
    await s.drain()
    expect(await s.read('CustomerOrders', 'k')).toMatchObject({ ids: ['c1'] })
  })

  test('the engine applies nothing of a batch that does not begin where its partition is', async () => {
    const s = await stage()
    await s.apply(0, customer('k', 1))
    const batch = s.stretch(0, [order('c1', 'k', 1)])
    expect(await s.applier.apply([{ ...batch, from: 0n }])).toMatchObject({ kind: 'lost' })
    expect(await s.applier.apply([{ ...batch, from: 5n, to: 6n }])).toMatchObject({ kind: 'lost' })
    await s.drain()
    expect(await s.read('CustomerOrders', 'k')).toMatchObject({ orders: 0 })
  })
})

const tableOf = (s: Stage): string =>
  s.catalog.generations.find(({ table }) => table.view === 'CustomerOrders')!.table.table
type Worker = ReturnType<Stage['maintainer']>
const drainOnce = ({ maintainer }: Worker) => maintainer.round()

/** Rounds by everybody until nobody finds anything. */
const settle = async (s: Stage, workers: readonly Worker[]): Promise<void> => {
  for (;;) {
    for (const worker of workers) await drainOnce(worker)
    await s.drain()
    const [left] = await s.database.sql<{ n: number }[]>`select count(*)::int as n from forebay.dirty`
    if (left!.n === 0) return
  }
}
