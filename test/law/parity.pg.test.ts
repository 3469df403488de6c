/** Law 9: what differs while a build is proven is repaired and compared again; what comes to no end fails, saying why. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { registerViews } from '../../src/ingest/generations.ts'
import type { Maintainer } from '../../src/ingest/maintain/maintainer.ts'
import type { Prove } from '../../src/ingest/rebuild/prove.ts'
import { proveByKeys } from '../../src/ingest/reconcile/prove-generation.ts'
import type { Reconciler } from '../../src/ingest/reconcile/worker.ts'
import { fillAll } from './fill.ts'
import { loadModel } from './model.ts'
import { generationsOf, openBuilder, unequal } from './rebuilding.ts'
import { openReconciling } from './reconciling.ts'
import { customer, openStage, order, SHOP, type Stage } from './stage.ts'

const changed = SHOP.replace('spent: Long! @sum(of: "orders.total")', 'most: Int @max(of: "orders.total")')
let s: Stage
let r: ReturnType<typeof openReconciling>
let maintainer: Maintainer
let reconciler: Reconciler
/** The one that is built. */
let table: string
let building: number
beforeEach(async () => {
  s = await openStage(SHOP, { live: true })
  r = openReconciling(s)
  await s.apply(0, ...['c', 'd', 'e'].map((id, n) => customer(id, n + 1)), order('o', 'c', 4, 7), order('p', 'd', 5, 9))
  await s.drain()
  await s.release()
  await registerViews(s.database.sql, await loadModel(changed))
  await s.catalog.reload!()
  ;({ maintainer } = s.maintainer())
  reconciler = r.reconciler(maintainer)
  await maintainer.round()
  await fillAll(s.database.sql, s.catalog, maintainer)
  const built = s.catalog.generations.find(({ state }) => state === 'BUILDING')!
  table = built.table.table
  building = built.generation
})
afterEach(async () => {
  await r.close()
  await s.close()
})

/** Proves it; a pass that is asked for is walked to its end right away, after `before` has been told which one it is. */
const build = async (before: (pass: number) => Promise<unknown>, more: Partial<Parameters<Prove>[2]> = {}) => {
  let passes = 0
  const said: string[] = []
  const prove: Prove = (sql, generation, options) =>
    proveByKeys(sql, generation, {
      ...options,
      say: (text) => {
        if (text) said.push(text)
        options.say(text)
      },
      async sleep() {
        passes += 1
        await before(passes)
        for (;;) {
          while (await reconciler.step());
          await reconciler.judge()
          while ((await maintainer.round()).entries > 0);
          const open = await s.database
            .sql`select from forebay.reconciliations where generation = ${building} and finished_at is null`
          if (open.length === 0) return
        }
      },
      ...more,
    })
  const builder = await openBuilder(s.database.url, s.model, { prove, auto: false })
  try {
    await builder.work()
  } finally {
    await builder.close()
  }
  return { passes, said }
}
const states = async () => (await generationsOf(s.database.sql)).map(({ state }) => state)
const statusOf = async () => {
  const [row] = await s.database.sql`
    select reason, failed_at is not null as failed from forebay.generations where generation = ${building}`
  return row
}
const harm = (id: string) => s.database.sql.unsafe(`update ${table} set most = 8 where id = '${id}'`)

test('law 9 what differs once is repaired through the log, the whole is compared again, and then it serves', async () => {
  const { passes, said } = await build(async (pass) => (pass === 1 ? harm('c') : undefined))
  expect(passes).toBe(2)
  expect(said.at(-1)).toBe(
    '1 of 11 keys differed and were repaired; comparison 2 of 5: 0 keys are compared with the definition',
  )
  expect(await states()).toEqual(['STANDBY', 'ACTIVE'])
  expect(await unequal(s.database.sql, s.model)).toEqual([])
})

test('law 9 what is wrong again in every comparison fails after so many of them', async () => {
  const { passes } = await build((pass) => harm(pass % 2 ? 'c' : 'd'))
  expect(passes).toBe(5)
  expect(await states()).toEqual(['ACTIVE', 'BUILDING'])
  expect(await statusOf()).toEqual({
    failed: true,
    reason:
      '1 of 11 keys are not what the definition gives in the last of 5 comparisons, each of which repaired what it found: the view goes on as it was',
  })
})

test('law 9 what can’t be repaired fails by its first comparison', async () => {
  await s.database.sql.unsafe(`
    create function harm() returns trigger language plpgsql as $$ begin new.most := 8; return new; end $$;
    create trigger harm before insert or update on ${table} for each row when (new.id = 'c') execute function harm();
    update ${table} set most = 7 where id = 'c'`)
  const { passes } = await build(async () => undefined)
  expect(passes).toBe(1)
  expect(await states()).toEqual(['ACTIVE', 'BUILDING'])
  expect(await statusOf()).toEqual({
    failed: true,
    reason:
      '1 of 11 keys are not what the definition gives and stay so after 20 repairs of each: the view goes on as it was',
  })
})

test('law 9 a crash between two comparisons doesn’t give a build more of them', async () => {
  const crash = new Error('killed')
  for (let n = 1; n <= 4; n++)
    await build(async (pass) => {
      if (pass === 2) throw crash
      await harm('c')
    }).catch((error: unknown) => expect(error).toBe(crash))
  // Each crash left a pass that had begun: it is gone on with.
  expect(await states()).toEqual(['ACTIVE', 'BUILDING'])
  const { passes } = await build(() => harm('c'))
  expect(passes).toBe(1)
  expect(await statusOf()).toMatchObject({
    failed: true,
    reason: expect.stringContaining('in the last of 5 comparisons'),
  })
})
