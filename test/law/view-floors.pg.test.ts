/** The floor of a view's rows that are kept for a time, one forced schedule each: by two owners, compared, cut off, built anew. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Generation, openCatalog, registerViews } from '../../src/ingest/generations.ts'
import { requestBuild } from '../../src/ingest/rebuild/states.ts'
import { tidy } from '../../src/ingest/rebuild/switch.ts'
import { startViewFloors } from '../../src/ingest/view-floors.ts'
import { connect } from '../../src/platform/postgres.ts'
import { fillAll } from './fill.ts'
import { daysAgo, KEEPING, type Keeping, openKeeping, placed, rowsOf } from './keeping.ts'
import { loadModel } from './model.ts'
import { openBuilder, unequal } from './rebuilding.ts'
import { openReconciling } from './reconciling.ts'
import { hold, type Stage, untilBlocked } from './stage.ts'
import { ownedId, settle, startWorkers } from './workers.ts'

let keeping: Keeping
let stage: Stage
const closing: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  keeping = await openKeeping(KEEPING(), { live: true })
  stage = keeping.stage
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  await stage.close()
})
const floorOf = async (view: string): Promise<string> => {
  const { table } = stage.catalog.generations.find((one) => one.table.view === view)!
  const [row] = await keeping.sql<
    { floor: string }[]
  >`select floor::text from forebay.view_floors where "table" = ${table.table}`
  return row!.floor
}

test('C6 a row that one owner writes by the floor before goes, though the other has worked the new one first', async () => {
  const [first, second] = await startWorkers(stage, closing)
  const mine = await ownedId(first, 'o')
  const theirs = await ownedId(second, 'o')
  await stage.apply(0, placed(mine, 32, 1))
  await settle(stage, [first, second])
  await stage.apply(0, placed(theirs, 31, 2))
  const commit = second.gate.shut()
  const writing = second.maintainer.round()
  await commit.reached
  // By what is seen of its rows there is one of the first's alone.
  expect(await keeping.floors.move()).toBeGreaterThan(0)
  while ((await first.maintainer.round()).entries > 0);
  commit.open()
  await writing
  await settle(stage, [first, second])
  expect(await rowsOf(stage, 'Recent')).toEqual([])
  expect(await unequal(keeping.sql, stage.model)).toEqual([])
})

test('C8 between the floor’s move and the rounds nothing is called drift, and nothing after', async () => {
  await stage.apply(0, placed('old', 31, 1), placed('new', 29, 2))
  await stage.drain()
  await stage.release()
  const { maintainer } = stage.maintainer()
  await maintainer.round()
  const r = openReconciling(stage)
  closing.push(() => r.close())
  await keeping.floors.move()
  for (const view of ['Recent', 'ByDay']) {
    const pass = await r.ask(view)
    const outcome = await r.finish(pass, [r.reconciler(maintainer)], async () => undefined)
    expect(outcome).toMatchObject({ state: 'DONE', drifted: 0 })
  }
  expect(await rowsOf(stage, 'Recent')).toEqual(['new'])
})

test('C8 a row that is there though it is past is drift, and goes', async () => {
  await stage.apply(0, placed('new', 29, 1))
  await stage.drain()
  await keeping.floors.move()
  await stage.drain()
  await stage.release()
  const { maintainer } = stage.maintainer()
  await maintainer.round()
  const r = openReconciling(stage)
  closing.push(() => r.close())
  const { table } = r.generation('Recent')
  await keeping.sql.unsafe(
    `insert into ${table.table} (id, placed_at, total, units, _tenant, _version, _incomplete) values ('old', $1, 1, 0, 'acme', 1, false)`,
    [daysAgo(31)],
  )
  const outcome = await r.finish(await r.ask('Recent'), [r.reconciler(maintainer)], async () => {
    while ((await maintainer.round()).entries > 0);
  })
  expect(outcome).toMatchObject({ drifted: 1, repaired: 1 })
  expect(await rowsOf(stage, 'Recent')).toEqual(['new'])
})

test('law 4 a move that is cut off has told nobody and moved nothing, and is made again', async () => {
  await stage.apply(0, placed('old', 31, 1))
  await stage.drain()
  const before = await floorOf('Recent')
  const own = connect(stage.database.url, { max: 1, name: 'cut' })
  closing.push(() => own.end({ timeout: 0 }))
  const floors = startViewFloors({ sql: own, catalog: stage.catalog, auto: false })
  // All of them wait at the first floor, so the first is where it is cut.
  const held = await hold(stage.database.url, 'select * from forebay.view_floors for update')
  const moving = floors.move().catch((error: unknown) => error)
  await untilBlocked(keeping.sql, 1)
  await keeping.sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'forebay cut'`
  expect(await moving).toBeInstanceOf(Error)
  await held.release()
  expect(await floorOf('Recent')).toBe(before)
  expect(await keeping.sql`select from forebay.dirty`).toHaveLength(0)
  expect(await keeping.floors.move()).toBeGreaterThan(0)
  await stage.drain()
  expect(await rowsOf(stage, 'Recent')).toEqual([])
})

describe('a view that is built anew', () => {
  /** Registers it, fills it and switches to it; the generation of `Recent` that serves then. */
  const build = async (days: number): Promise<Generation> => {
    const model = await loadModel(KEEPING(days))
    await registerViews(keeping.sql, model)
    await stage.catalog.reload!()
    return switched()
  }
  const switched = async (): Promise<Generation> => {
    await stage.release()
    const { maintainer, sql } = stage.maintainer()
    await fillAll(keeping.sql, stage.catalog, maintainer)
    await sql.end({ timeout: 1 })
    const builder = await openBuilder(stage.database.url, stage.model, { auto: false })
    await builder.work()
    await builder.close()
    await stage.catalog.reload!()
    return (await openCatalog(keeping.sql, stage.model)).generations.find(
      ({ table, state }) => table.view === 'Recent' && state === 'ACTIVE',
    )!
  }
  beforeEach(async () => {
    await stage.apply(0, placed('a', 45, 1), placed('b', 31, 2), placed('c', 15, 3), placed('d', 1, 4))
    await stage.drain()
    await keeping.floors.move()
    await stage.drain()
    expect(await rowsOf(stage, 'Recent')).toEqual(['c', 'd'])
  })

  test('with a longer ttl has again what the one before had dropped, and the one before goes on as it was', async () => {
    const before = stage.catalog.generations.find(({ table }) => table.view === 'Recent')!.generation
    const { generation } = await build(40)
    expect(generation).not.toBe(before)
    expect(await rowsOf(stage, 'Recent', generation)).toEqual(['b', 'c', 'd'])
    expect(await rowsOf(stage, 'Recent', before)).toEqual(['c', 'd'])
    await stage.apply(0, placed('e', 35, 5), placed('f', 41, 6))
    await stage.drain()
    expect(await rowsOf(stage, 'Recent', generation)).toEqual(['b', 'c', 'd', 'e'])
    expect(await rowsOf(stage, 'Recent', before)).toEqual(['c', 'd'])
    expect(await rowsOf(stage, 'ByDay')).toEqual(['1', '1', '1', '1'])
    expect(await unequal(keeping.sql, stage.model)).toEqual([])
  })

  test('with a shorter ttl begins without what is past it', async () => {
    const before = stage.catalog.generations.find(({ table }) => table.view === 'Recent')!.generation
    const { generation } = await build(7)
    expect(await rowsOf(stage, 'Recent', generation)).toEqual(['d'])
    expect(await rowsOf(stage, 'Recent', before)).toEqual(['c', 'd'])
    expect(await unequal(keeping.sql, stage.model)).toEqual([])
  })

  test('with the same has what is left, under a floor of its own, which goes with its table', async () => {
    const before = stage.catalog.generations.find(({ table }) => table.view === 'Recent')!
    const made = await requestBuild(keeping.sql, 'Recent')
    await stage.catalog.reload!()
    const { generation, table } = await switched()
    expect(generation).toBe(made)
    expect(table.table).not.toBe(before.table.table)
    expect(await rowsOf(stage, 'Recent', generation)).toEqual(['c', 'd'])
    await tidy(keeping.sql, 0)
    await keeping.sql`update forebay.generations set retired_at = now() - interval '1 hour' where generation = ${before.generation}`
    await tidy(keeping.sql, 0)
    const left = await keeping.sql<{ table: string }[]>`select "table" from forebay.view_floors`
    expect(left.map((one) => one.table)).toContain(table.table)
    expect(left.map((one) => one.table)).not.toContain(before.table.table)
  })

  test('is swept while it is filled, and proven equal all the same', async () => {
    const made = await requestBuild(keeping.sql, 'Recent')
    await keeping.sql`update forebay.view_floors set floor = floor - interval '3652 days'`
    await stage.catalog.reload!()
    await stage.release()
    const { maintainer, sql } = stage.maintainer()
    await fillAll(keeping.sql, stage.catalog, maintainer)
    expect(await rowsOf(stage, 'Recent', made)).toEqual(['a', 'b', 'c', 'd'])
    await stage.catalog.reload!()
    expect(await keeping.floors.move()).toBeGreaterThan(0)
    while ((await maintainer.round()).entries > 0);
    await sql.end({ timeout: 1 })
    expect((await switched()).generation).toBe(made)
    expect(await rowsOf(stage, 'Recent', made)).toEqual(['c', 'd'])
  })
})
