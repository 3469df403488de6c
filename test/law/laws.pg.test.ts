/** Laws 1 to 3 over random declarations and histories, on the engine's own apply and maintain. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { redelivered } from './change-arbitrary.ts'
import { tape } from './draw.ts'
import { withDatabase } from './engine.ts'
import { isQuiet, runProcess } from './process.ts'
import { check } from './runs.ts'
import { schemaArbitrary } from './schema-arbitrary.ts'
import { expectViewsEqualQuery, viewContents } from './tables.ts'

const TIMEOUT = { timeout: 600_000 }

test('law 1 view = query: every table equals its own query and the oracle', TIMEOUT, () =>
  check(
    25,
    fc.asyncProperty(schemaArbitrary, tape(6000), (text, numbers) =>
      withDatabase(text, numbers, async (scene) => {
        await runProcess(scene)
        await expectViewsEqualQuery(scene.sql, scene.model, scene.rows)
      }),
    ),
  ),
)

test(
  'law 2 redelivery: delivering any suffix of the log again changes nothing, not even a row’s version',
  TIMEOUT,
  () =>
    check(
      10,
      fc.asyncProperty(schemaArbitrary, tape(6000), (text, numbers) =>
        withDatabase(text, numbers, async (scene) => {
          await runProcess(scene)
          const before = await viewContents(scene.sql, scene.model)
          await runProcess({ ...scene, log: redelivered(scene.draw, scene.log) })
          expect(await viewContents(scene.sql, scene.model)).toEqual(before)
        }),
      ),
    ),
)

test(
  'law 3 interleaving: any schedule of partitions, batch sizes, appliers and maintainers ends in the same tables',
  TIMEOUT,
  () =>
    check(
      15,
      fc.asyncProperty(schemaArbitrary, tape(6000), (text, numbers) =>
        withDatabase(text, numbers, async (scene) => {
          const ids = [...scene.log.keys()]
          const mine = new Set(scene.draw.some(ids))
          const others = new Set(ids.filter((id) => !mine.has(id)))
          await Promise.all([mine, others, new Set<string>()].map((owns) => runProcess({ ...scene, owns })))
          expect(await isQuiet(scene.sql)).toBe(true)
          await expectViewsEqualQuery(scene.sql, scene.model, scene.rows)
        }),
      ),
    ),
)
