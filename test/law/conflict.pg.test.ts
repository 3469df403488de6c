/** What decides between two changes of one key, by every conflict that may be declared, over logs in any order. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createApplier } from '../../src/ingest/apply/apply.ts'
import { type Dropped, sumDropped } from '../../src/ingest/apply/write.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import { startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { startSweeper } from '../../src/ingest/sweep.ts'
import { connect } from '../../src/platform/postgres.ts'
import { folder, makeConflictHistory } from './conflict-history.ts'
import { type Draw, drawFrom, tape } from './draw.ts'
import { openEngine } from './engine.ts'
import { loadModel } from './model.ts'
import { check } from './runs.ts'
import { stretchOf } from './stretch.ts'
import { expectViewsEqualQuery } from './tables.ts'

const LENGTH = 60
/** Appliers at once, each with lanes of its own. */
const WRITERS = 3

type Total = { rows: number; dropped: readonly Dropped[] }

const play = async (draw: Draw): Promise<void> => {
  const history = makeConflictHistory(draw, LENGTH)
  const { database, model, catalog } = await openEngine(await loadModel(folder))
  const { sql, url } = database
  const decoder = createDecoder(model)
  const total: Total = { rows: 0, dropped: [] }
  try {
    for (const lane of history.lanes.values())
      await sql`insert into forebay.positions (topic, partition, next_offset) values (${lane[0]!.topic}, ${lane[0]!.partition}, 0)`
    const sweeper = startSweeper({ sql, model, catalog, source: { extents: async () => [] }, ttl: 'P30D', auto: false })
    const write = async (
      lanes: readonly (readonly (typeof history.lanes extends ReadonlyMap<string, infer L> ? L : never)[number][])[],
    ) => {
      const applier = createApplier(sql, model, catalog)
      const at = lanes.map(() => 0)
      for (;;) {
        const open = lanes.flatMap((lane, n) => (at[n]! < lane.length ? [n] : []))
        if (open.length === 0) return
        const chosen = [...new Set([draw.pick(open), ...draw.some(open, 3)])]
        const stretches = chosen.map((n) => {
          const records = lanes[n]!.slice(at[n], at[n]! + 1 + draw.below(12))
          const stretch = stretchOf(decoder, records, BigInt(at[n]!))
          at[n]! += records.length
          return stretch
        })
        const result = await applier.apply(stretches)
        if (result.kind !== 'applied' || result.parked > 0) throw new Error(`not applied: ${JSON.stringify(result)}`)
        total.rows += result.rows
        total.dropped = sumDropped([...total.dropped, ...result.dropped])
        if (draw.oneIn(8)) await sweeper.sweep()
      }
    }
    const lanes = [...history.lanes.values()]
    await Promise.all(
      Array.from({ length: WRITERS }, (_, writer) => write(lanes.filter((_, n) => n % WRITERS === writer))),
    )
    await sweeper.sweep()
    const own = connect(url, { max: 1, name: 'maintainer' })
    const maintainer = startMaintainer({ sql: own, catalog, published: async () => {}, auto: false })
    while ((await maintainer.round()).entries > 0);
    await expectViewsEqualQuery(sql, model, history.rows)
    expectCounted(total, history)
    // Every lane once more from its start, as a log that is read again.
    const before = await contents(sql)
    await sql`update forebay.positions set next_offset = 0`
    await write(lanes)
    await sweeper.sweep()
    while ((await maintainer.round()).entries > 0);
    expect(await contents(sql)).toEqual(before)
    await own.end({ timeout: 1 })
  } finally {
    await database.drop()
  }
}

/** Every change was applied or is counted, by its reason and entity. */
const expectCounted = (
  { rows, dropped }: Total,
  { changes, foreign }: ReturnType<typeof makeConflictHistory>,
): void => {
  const count = (wanted: (one: Dropped) => boolean) => dropped.filter(wanted).reduce((sum, one) => sum + one.count, 0)
  const all = [...changes.values()].reduce((sum, n) => sum + n, 0)
  expect(rows + count(({ reason }) => reason !== 'older-fields')).toBe(all)
  expect(count(({ reason }) => reason === 'not-owner')).toBe(foreign)
  expect(count(({ reason, entity }) => reason === 'older-fields' && !entity.endsWith('Clocked'))).toBe(0)
}

/** Entity rows but for the provenance of sweeps. */
const contents = async (sql: ReturnType<typeof connect>) => {
  const tables = ['clocked', 'timed', 'captured_clocked', 'captured_timed', 'owned']
  const rows = await Promise.all(
    tables.map((name) =>
      sql.unsafe(`select '${name}' as entity, id, n, a, b, _live from zoo.${name} where _live order by id`),
    ),
  )
  return rows.flat()
}

test(
  'FIELD_CLOCK, EVENT_TIME, OWNER: any order of arrival, any repetition and any partition end as the oracle says',
  { timeout: 600_000 },
  () =>
    check(
      12,
      fc.asyncProperty(tape(6000), (numbers) => play(drawFrom(numbers))),
    ),
)
