/** Law 9: rebuild and switch under load equal the definition, and the old one can be returned to. */
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { requestBuild, rollback } from '../../src/ingest/rebuild/states.ts'
import type { Sql } from '../../src/platform/postgres.ts'
import { tape } from './draw.ts'
import { withDatabase } from './engine.ts'
import { runProcess } from './process.ts'
import { generationsOf, isBuilding, killBuilders, openBuilder, unequal } from './rebuilding.ts'
import { check } from './runs.ts'
import { schemaArbitrary } from './schema-arbitrary.ts'
import { expectViewsEqualQuery } from './tables.ts'

const TIMEOUT = { timeout: 600_000 }

/** Whatever a pointer named was the one that served before, or had been proven. */
const watchPointers = (sql: Sql, first: ReadonlyMap<string, number>) => {
  const wrong: string[] = []
  let over = false
  const watching = (async () => {
    while (!over) {
      const rows = await sql<{ view: string; generation: number; state: string; proven: boolean }[]>`
        select p.view, p.generation, g.state, g.proven_at is not null as proven
        from forebay.pointers p join forebay.generations g using (generation)`
      for (const { view, generation, state, proven } of rows)
        if (state !== 'ACTIVE' || !(proven || first.get(view) === generation))
          wrong.push(`${view} ${generation} is ${state}`)
      await sleep(20)
    }
  })()
  return {
    async end() {
      over = true
      await watching
      return wrong
    },
  }
}

test(
  'law 9 every view built anew while changes are applied equals its query when it is switched to, and so does what stands by',
  TIMEOUT,
  async () => {
    let switched = 0
    let kills = 0
    await check(
      6,
      fc.asyncProperty(schemaArbitrary, tape(6000), (text, numbers) =>
        withDatabase(text, numbers, async (scene) => {
          const { sql, model, draw, url } = scene
          const some = new Map(
            [...scene.log].map(([id, lane]) => [
              id,
              lane.slice(0, 1 + draw.below(lane.length)) as unknown as typeof lane,
            ]),
          )
          await runProcess({ ...scene, log: some, whole: scene.log })
          const before = new Map((await generationsOf(sql)).map(({ view, generation }) => [view, generation]))
          const pointers = watchPointers(sql, before)
          for (const { name } of model.views.values()) await requestBuild(sql, name)

          let builder = await openBuilder(url, model)
          const lanes = [...scene.log.keys()]
          const half = new Set(draw.some(lanes))
          const load = Promise.all([
            runProcess({ ...scene, owns: half }),
            runProcess({ ...scene, owns: new Set(lanes.filter((id) => !half.has(id))) }),
          ])
          for (let times = kills === 0 ? 1 + draw.below(2) : draw.below(3); times > 0; times--) {
            await sleep(draw.below(300))
            await killBuilders(sql)
            await builder.close()
            builder = await openBuilder(url, model)
            kills += 1
          }
          await load
          while (await isBuilding(sql)) await runProcess(scene)
          await builder.close()
          expect(await pointers.end()).toEqual([])

          const now = await generationsOf(sql)
          for (const [view, generation] of before) {
            expect(now.find((one) => one.generation === generation)).toMatchObject({ state: 'STANDBY', pointed: false })
            const serves = now.find((one) => one.view === view && one.pointed)!
            expect(serves.generation).toBeGreaterThan(generation)
            expect(serves.state).toBe('ACTIVE')
            switched += 1
          }
          expect(await unequal(sql, model)).toEqual([])
          await expectViewsEqualQuery(sql, model, scene.rows)

          for (const [view, generation] of before) expect(await rollback(sql, view)).toMatchObject({ to: generation })
          expect(
            (await generationsOf(sql)).filter(({ pointed }) => pointed).map(({ generation }) => generation),
          ).toEqual([...before.values()].sort((a, b) => a - b))
        }),
      ),
    )
    expect(switched).toBeGreaterThan(0)
    expect(kills).toBeGreaterThan(0)
  },
)
