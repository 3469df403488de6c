import fc from 'fast-check'
import { test } from 'vitest'
import { makeHistory, makeLog } from './change-arbitrary.ts'
import { drawFrom, tape } from './draw.ts'
import { loadModel, openEngine } from './engine.ts'
import { playAll, startPositions } from './player.ts'
import { check } from './runs.ts'
import { schemaArbitrary } from './schema-arbitrary.ts'
import { expectDefinitionsRight } from './tables.ts'

test('law 1 what a view’s own query gives is what the language says', { timeout: 300_000 }, () =>
  check(
    40,
    fc.asyncProperty(schemaArbitrary, tape(3000), async (text, numbers) => {
      const engine = await openEngine(await loadModel(text))
      try {
        const draw = drawFrom(numbers)
        const history = makeHistory(draw, engine.model, 80)
        const log = makeLog(draw, history, 2)
        await startPositions(engine.database.sql, log)
        await playAll(engine, draw, log, 10)
        await expectDefinitionsRight(engine.database.sql, engine.model, history.rows)
      } finally {
        await engine.database.drop()
      }
    }),
  ),
)
