/** Law 2 for replay: reading a stretch of a log once more, with the same declaration, leaves every row as it is. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LogRecord } from '../../src/ingest/change.ts'
import { registerViews } from '../../src/ingest/generations.ts'
import { noRegistry } from '../../src/ingest/registry/open.ts'
import { fromText } from '../../src/ingest/replay/from.ts'
import { rangesLeft } from '../../src/ingest/replay/job.ts'
import { runJob } from '../../src/ingest/replay/run.ts'
import type { Range } from '../../src/ingest/source.ts'
import type { Model } from '../../src/model/model.ts'
import { entityTable } from '../../src/model/names.ts'
import { requestReplay } from '../../src/operate/replay/jobs.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import type { Log } from './change-arbitrary.ts'
import { type Draw, tape } from './draw.ts'
import { withDatabase } from './engine.ts'
import { isQuiet, runProcess } from './process.ts'
import { check } from './runs.ts'
import { schemaArbitrary } from './schema-arbitrary.ts'
import { viewContents } from './tables.ts'

/** The log as a source that is read once more, in batches as they come. */
const logSource = (log: Log, draw: Draw) => ({
  extents: async () =>
    [...log.values()].map((lane) => ({
      topic: lane[0]!.topic,
      partition: lane[0]!.partition,
      start: 0n,
      end: lane.at(-1)!.offset + 1n,
    })),
  offsetsAt: async () => [],
  async *reread(ranges: readonly Range[]) {
    for (const { topic, partition, from, until } of ranges) {
      let rest: readonly LogRecord[] = [...log.values()]
        .flat()
        .filter((r) => r.topic === topic && r.partition === partition && r.offset >= from && r.offset < until)
      for (let at = from; at < until; ) {
        const records = rest.slice(0, 1 + draw.below(20))
        rest = rest.slice(records.length)
        const to = rest.length === 0 ? until : records.at(-1)!.offset + 1n
        yield { topic, partition, from: at, to, records }
        at = to
      }
    }
  },
})

/** Every row of every entity, with the place and the writer of the row version that holds it. */
const entityContents = async (sql: Sql, model: Model): Promise<readonly string[]> => {
  const all: string[] = []
  for (const entity of model.entities.values()) {
    const rows = await sql.unsafe<{ row: string }[]>(
      `select concat_ws(' ', '${entity.name}', ctid, xmin, t::text) as row from ${entityTable(entity)} t order by 1`,
    )
    all.push(...rows.map(({ row }) => row))
  }
  return all
}

test('law 2 redelivery by replay: any stretch of the log, read once more, changes nothing, not even a row’s version', {
  timeout: 600_000,
}, async () => {
  let replayed = 0
  await check(
    10,
    fc.asyncProperty(schemaArbitrary, tape(6000), (text, numbers) =>
      withDatabase(text, numbers, async (scene) => {
        await runProcess(scene)
        const { sql, model, draw, log, decoder } = scene
        const one = connect(scene.url, { max: 1, name: 'replay' })
        try {
          const catalog = await registerViews(sql, model)
          const [entities, views] = [await entityContents(sql, model), await viewContents(sql, model)]
          for (const entity of draw.some([...model.entities.values()], 4)) {
            const { topic } = entity.source
            const lanes = [...log.values()].filter(([first]) => first!.topic === topic)
            const positions = draw.some(lanes, 3).map((lane) => {
              const { partition, offset } = draw.pick([...lane])
              return { topic, partition, offset }
            })
            const since = positions.length ? fromText({ kind: 'positions', positions }) : 'earliest'
            if (lanes.length === 0) continue
            const id = await requestReplay(sql, entity.name, topic, since)
            const job = { id, entity: entity.name, topic, since }
            const options = { sql: one, model, catalog, decoder, schemas: noRegistry, source: logSource(log, draw) }
            const signal = new AbortController().signal
            const pace = () => ({ turn: async () => {}, duty: () => 1 })
            expect(await runJob(job, { ...options, applied: () => {}, signal }, pace)).toBe('ended')
            expect(await rangesLeft(sql, job)).toEqual([])
            replayed += 1
          }
          expect(await entityContents(sql, model)).toEqual(entities)
          expect(await isQuiet(sql), 'nothing was logged').toBe(true)
          expect(await viewContents(sql, model)).toEqual(views)
        } finally {
          await one.end({ timeout: 1 })
        }
      }),
    ),
  )
  expect(replayed).toBeGreaterThan(0)
})
