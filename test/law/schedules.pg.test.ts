/** Laws 3 and 4 over random schedules of several processes on one database. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Draw, tape } from './draw.ts'
import { withDatabase } from './engine.ts'
import { isQuiet, runCut, runProcess, type Work } from './process.ts'
import { check } from './runs.ts'
import { schemaArbitrary } from './schema-arbitrary.ts'
import { expectViewsEqualQuery } from './tables.ts'

const TIMEOUT = { timeout: 600_000 }

/** Two appliers that share the partitions, and a process that only maintains; all three have shards, which change hands. */
const processes = <T extends Omit<Work, 'owns' | 'restless'> & { readonly draw: Draw }>(scene: T): readonly Work[] => {
  const ids = [...scene.log.keys()]
  const mine = new Set(scene.draw.some(ids))
  const others = new Set(ids.filter((id) => !mine.has(id)))
  return [mine, others, new Set<string>()].map((owns) => ({ ...scene, owns, restless: true }))
}

test(
  'law 3 interleaving: any schedule of partitions, batch sizes, appliers and maintainers ends in the same tables',
  TIMEOUT,
  () =>
    check(
      15,
      fc.asyncProperty(schemaArbitrary, tape(6000), (text, numbers) =>
        withDatabase(text, numbers, async (scene) => {
          await Promise.all(processes(scene).map(runProcess))
          expect(await isQuiet(scene.sql)).toBe(true)
          await expectViewsEqualQuery(scene.sql, scene.model, scene.rows)
        }),
      ),
    ),
)

test(
  'law 4 crash anywhere: connections of several processes at once, cut between any two messages',
  TIMEOUT,
  async () => {
    let cuts = 0
    await check(
      10,
      fc.asyncProperty(schemaArbitrary, tape(6000), (text, numbers) =>
        withDatabase(text, numbers, async (scene) => {
          for (const n of await Promise.all(processes(scene).map(runCut))) cuts += n
          expect(await isQuiet(scene.sql)).toBe(true)
          await expectViewsEqualQuery(scene.sql, scene.model, scene.rows)
        }),
      ),
    )
    expect(cuts).toBeGreaterThan(0)
  },
)
