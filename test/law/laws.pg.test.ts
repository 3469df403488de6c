/** Laws 1 to 4 over random declarations and histories, on the engine's own apply and maintain. */
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createDecoder } from '../../src/ingest/decode.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import type { Sql } from '../../src/platform/postgres.ts'
import { freshDatabase } from '../support/postgres.ts'
import { type Log, makeHistory, makeLog } from './change-arbitrary.ts'
import { startCuttingProxy } from './cutting-proxy.ts'
import { type Draw, drawFrom, tape } from './draw.ts'
import { loadModel } from './engine.ts'
import { startPositions } from './player.ts'
import { isQuiet, runProcess, type Work } from './process.ts'
import { check } from './runs.ts'
import { schemaArbitrary } from './schema-arbitrary.ts'
import { expectViewsEqualQuery, viewContents } from './tables.ts'

const TIMEOUT = { timeout: 600_000 }

/** A declaration, a history, its log, and a database that knows the model and has applied nothing. */
const withLog = async (
  text: string,
  numbers: readonly number[],
  use: (scene: Work & { readonly sql: Sql; readonly rows: ReturnType<typeof makeHistory>['rows'] }) => Promise<void>,
  length = 80,
): Promise<void> => {
  const model = await loadModel(text)
  const { sql, url, drop } = await freshDatabase()
  try {
    await installModel(sql, model)
    const draw = drawFrom(numbers)
    const history = makeHistory(draw, model, length)
    const log = makeLog(draw, history, 1 + draw.below(3))
    await startPositions(sql, log)
    const sizes = { batch: 1 + draw.below(20), budget: 1 + draw.below(30) }
    await use({ sql, url, model, decoder: createDecoder(model), log, draw, ...sizes, rows: history.rows })
  } finally {
    await drop()
  }
}

test('law 1 view = query: every table equals its own query and the oracle', TIMEOUT, () =>
  check(
    25,
    fc.asyncProperty(schemaArbitrary, tape(3000), (text, numbers) =>
      withLog(text, numbers, async (scene) => {
        await runProcess(scene)
        await expectViewsEqualQuery(scene.sql, scene.model, scene.rows)
      }),
    ),
  ),
)

/** The same records again, behind those that the log has: of each partition a suffix. */
const redelivered = (draw: Draw, log: Log): Log =>
  new Map(
    [...log].map(([id, lane]) => {
      const end = lane.at(-1)!.offset + 1n
      const suffix = lane.slice(draw.below(lane.length))
      return [id, [...lane, ...suffix.map((record, i) => ({ ...record, offset: end + BigInt(i) }))]]
    }),
  )

test(
  'law 2 redelivery: delivering any suffix of the log again changes nothing, not even a row’s version',
  TIMEOUT,
  () =>
    check(
      10,
      fc.asyncProperty(schemaArbitrary, tape(3000), (text, numbers) =>
        withLog(text, numbers, async (scene) => {
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
      fc.asyncProperty(schemaArbitrary, tape(3000), (text, numbers) =>
        withLog(text, numbers, async (scene) => {
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

/** Until the backends of a process that was cut off have noticed. */
const untilGone = async (sql: Sql): Promise<void> => {
  for (let left = 500; left > 0; left--) {
    const [row] = await sql<{ n: number }[]>`
      select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name like 'forebay law%'`
    if (row!.n === 0) return
    await sleep(2)
  }
  throw new Error('a process that was cut off still has sessions')
}

/** Runs the process through connections that are cut after so many messages. True: it got to its end before. */
const runCut = async (work: Work, sql: Sql, messages: number): Promise<boolean> => {
  const proxy = await startCuttingProxy(work.url)
  try {
    proxy.cutAfter(messages)
    await runProcess({ ...work, url: proxy.url })
    return true
  } catch (error) {
    if (!proxy.cut) throw error
    return false
  } finally {
    await proxy.close()
    await untilGone(sql)
  }
}

test(
  'law 4 crash anywhere: cut off again and again, at any message, and started again, it ends in the same tables',
  TIMEOUT,
  () =>
    check(
      10,
      fc.asyncProperty(schemaArbitrary, tape(3000), (text, numbers) =>
        withLog(text, numbers, async (scene) => {
          let crashes = 0
          while (!(await runCut(scene, scene.sql, 5 + 4 * crashes + scene.draw.below(120)))) crashes += 1
          await expectViewsEqualQuery(scene.sql, scene.model, scene.rows)
        }),
      ),
    ),
)
