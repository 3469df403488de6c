/** Law 1 with views whose rows are kept for a time: at every moment they equal their query, and in the end the oracle over what is left. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { viewBasis, viewFreshness } from '../../src/gateway/freshness/freshness.ts'
import { readSnapshot } from '../../src/gateway/freshness/snapshot.ts'
import type { Change } from '../../src/ingest/change.ts'
import { registerViews } from '../../src/ingest/generations.ts'
import type { ChangedRow } from '../../src/ingest/maintain/work-generation.ts'
import { metricsText } from '../../src/platform/metrics.ts'
import { redelivered } from './change-arbitrary.ts'
import { tape } from './draw.ts'
import { withDatabase } from './engine.ts'
import { KEEPING, type Keeping, openKeeping, placed, rowsOf } from './keeping.ts'
import { runProcess } from './process.ts'
import { unequal } from './rebuilding.ts'
import { check } from './runs.ts'
import { schemaArbitrary } from './schema-arbitrary.ts'
import { line } from './stage.ts'
import { expectViewsEqualQuery } from './tables.ts'

const swept = async (view = '[^"]*'): Promise<number> => {
  const { text } = await metricsText()
  const found = text.matchAll(new RegExp(`^forebay_view_rows_swept_total{view="${view}"} (\\S+)$`, 'gm'))
  return [...found].reduce((total, [, n]) => total + Number(n), 0)
}

test('law 1 with rows of views that go as the floor moves past them, beside their changes and by two processes', {
  timeout: 600_000,
}, async () => {
  const before = await swept()
  await check(
    16,
    fc.asyncProperty(
      schemaArbitrary.filter((text) => /type V\d @view.*@retention/.test(text)),
      tape(6000),
      (text, numbers) =>
        withDatabase(text, numbers, async (scene) => {
          const { sql, model, rows } = scene
          await registerViews(sql, model)
          await sql`update forebay.view_floors set floor = '-infinity'`
          const lanes = [...scene.log.keys()]
          const half = new Set(scene.draw.some(lanes))
          await Promise.all([
            runProcess({ ...scene, owns: half, restless: true }),
            runProcess({ ...scene, owns: new Set(lanes.filter((id) => !half.has(id))), restless: true }),
          ])
          await runProcess(scene)
          await expectViewsEqualQuery(sql, model, rows)
          await runProcess({ ...scene, log: redelivered(scene.draw, scene.log) })
          await expectViewsEqualQuery(sql, model, rows)
        }),
    ),
  )
  expect(await swept()).toBeGreaterThan(before)
})

describe('a row of a view that is kept for a time', () => {
  let keeping: Keeping
  const apply = (...changes: readonly Change[]) => keeping.stage.apply(0, ...changes)
  const drain = () => keeping.stage.drain()
  const rows = async (view: string) => {
    await drain()
    return rowsOf(keeping.stage, view)
  }
  beforeEach(async () => {
    keeping = await openKeeping()
  })
  afterEach(() => keeping.stage.close())

  test('is there until the floor moves past it, goes alone, and is counted', async () => {
    await apply(placed('new', 29, 1), placed('old', 31, 2), placed('never', null, 3), line('l', 'old', 4))
    expect(await rows('Recent')).toEqual(['never', 'new', 'old'])
    expect(await rows('RecentLine')).toEqual(['l'])
    const before = await swept('Recent')
    // Of each of the four views one.
    expect(await keeping.floors.move()).toBe(4)
    expect(await swept('Recent')).toBe(before + 1)
    expect(await rows('Recent')).toEqual(['never', 'new'])
    expect(await rows('Shipped')).toEqual(['never', 'new'])
    expect(await rows('RecentLine')).toEqual([])
    expect(await keeping.floors.move()).toBe(0)
    const [{ n } = { n: 0 }] = await keeping.sql<{ n: number }[]>`select count(*)::int as n from shop."order"`
    expect(n).toBe(3)
    expect(await unequal(keeping.sql, keeping.stage.model)).toEqual([])
  })

  test('C22 holds asOf back until it has gone, and no longer', async () => {
    const { sql, stage, floors } = keeping
    await apply(placed('old', 31, 1))
    await drain()
    for (const topic of ['customers', 'orders', 'lines'])
      await sql`insert into forebay.positions (topic, partition, next_offset) values (${topic}, 0, 0)`
    const basis = viewBasis(stage.model, stage.model.views.get('Recent')!)
    const ahead = Date.now() + 3_600_000
    await sql`update forebay.positions set frontier = to_timestamp(${ahead / 1000}::float8)`
    const asOf = async (...shown: readonly string[]) =>
      viewFreshness(await readSnapshot(sql), basis, ahead, shown.length > 0 ? new Set(shown) : undefined).asOf
    expect(await asOf()).toBe(ahead)
    const before = Date.now()
    await floors.move()
    for (const bound of [await asOf(), await asOf('id', 'units')]) {
      expect(bound).toBeGreaterThanOrEqual(before - 1_000)
      expect(bound).toBeLessThan(ahead)
    }
    await drain()
    expect(await asOf()).toBe(ahead)
  })

  test('C31 is told to whoever keeps rows, as any row that is deleted', async () => {
    await apply(placed('old', 31, 1), placed('new', 29, 2))
    await drain()
    await keeping.stage.release()
    await keeping.floors.move()
    const told: ChangedRow[] = []
    const { maintainer } = keeping.stage.maintainer(async ({ changed }) => void told.push(...changed))
    while ((await maintainer.round()).entries > 0);
    expect(told.filter(({ generation }) => generation.table.view === 'Recent')).toEqual([
      expect.objectContaining({ key: ['old'], tenant: 'acme', gone: true }),
    ])
  })

  test('does not come back by a late change, and does by one that gives it a later time', async () => {
    await apply(placed('old', 31, 1), placed('new', 29, 2))
    await drain()
    await keeping.floors.move()
    expect(await rows('Recent')).toEqual(['new'])
    await apply(placed('old', 31, 3, 99), placed('older', 40, 4), line('l', 'old', 5))
    expect(await rows('Recent')).toEqual(['new'])
    expect(await rows('RecentLine')).toEqual([])
    await apply(placed('old', 3, 6, 99))
    expect(await rows('Recent')).toEqual(['new', 'old'])
    expect(await rows('RecentLine')).toEqual(['l'])
    expect(await keeping.stage.read('Recent', 'old')).toMatchObject({ total: 99, units: '1' })
    await apply(placed('old', 35, 7))
    expect(await rows('Recent')).toEqual(['new'])
    expect(await unequal(keeping.sql, keeping.stage.model)).toEqual([])
  })

  test('a group goes whole once its bucket is past, and is not counted anew by what comes late', async () => {
    await apply(placed('a', 33, 1), placed('b', 33, 2), placed('c', 2, 3), placed('d', null, 4))
    expect(await rows('ByDay')).toEqual(['1', '1', '2'])
    await keeping.floors.move()
    expect(await rows('ByDay')).toEqual(['1', '1'])
    await apply(placed('e', 33, 5), placed('f', 2, 6))
    expect(await rows('ByDay')).toEqual(['1', '2'])
    // Its members are still known: one that leaves it takes nothing else along.
    await apply(placed('a', 2, 7))
    expect(await rows('ByDay')).toEqual(['1', '3'])
    expect(await unequal(keeping.sql, keeping.stage.model)).toEqual([])
  })

  test('is not there for a moment where it comes late for the first time', async () => {
    expect(await keeping.floors.move()).toBe(0)
    await apply(placed('old', 31, 1), placed('new', 29, 2))
    expect(await rows('Recent')).toEqual(['new'])
  })

  test('goes with others of its moment, however many, and many moments go in steps', async () => {
    // 1,200 of one moment, the oldest, and as many moments after it.
    const now = Date.now()
    const days = (n: number) => (n < 1_200 ? 40 : 31 + n / 1_000)
    await apply(...Array.from({ length: 2_400 }, (_, n) => placed(`o${n}`, days(n), n + 1, 10, now)))
    await drain()
    const left: number[] = []
    for (let moved = 1; moved > 0; left.push((await rows('Recent')).length)) {
      moved = await keeping.floors.move()
      // The next ones wait for these.
      if (moved > 0) expect(await keeping.floors.move()).toBe(0)
    }
    expect(left).toEqual([1_200, 200, 0, 0])
    expect(await rows('ByDay')).toEqual([])
  }, 120_000)

  test('is found by an index of the view, and what it is compared with by the key', async () => {
    const { table, paths } = keeping.stage.catalog.generations.find((one) => one.table.view === 'Recent')!
    await keeping.sql.unsafe(`insert into ${table.table} (id, placed_at, total, units, _tenant, _version, _incomplete)
      select n::text, now(), 1, 0, 'acme', 1, false from generate_series(1, 20000) n`)
    await keeping.sql.unsafe(`analyze ${table.table}`)
    const expand = paths.find(({ own }) => own)!.expand!
    const plan = await keeping.sql.unsafe(`explain (generic_plan) ${expand}`).simple()
    expect(JSON.stringify(plan)).toMatch(/Index (Only )?Scan using \S+_expiry/)
  })
})

test('the length is part of a view’s definition, and another one of another’s', async () => {
  const hashes = await Promise.all(
    [30, 30, 31].map(async (days) => {
      const { stage } = await openKeeping(KEEPING(days))
      await stage.close()
      return stage.catalog.generations.find(({ table }) => table.view === 'Recent')!.table.hash
    }),
  )
  expect(hashes[0]).toBe(hashes[1])
  expect(hashes[2]).not.toBe(hashes[0])
})
