/** Laws 1 and 2 over random declarations and histories, on the engine's own apply and maintain. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { redelivered } from './change-arbitrary.ts'
import { tape } from './draw.ts'
import { withDatabase } from './engine.ts'
import { expectMoments } from './moments.ts'
import { runProcess } from './process.ts'
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
        await expectMoments(scene.sql, scene.model, scene.rows, scene.draw)
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
