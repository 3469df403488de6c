/** What an ingest process does, in small: registers the views, applies what a log still has for it, keeps the views up. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createApplier } from '../../src/ingest/apply/apply.ts'
import type { LogRecord } from '../../src/ingest/change.ts'
import { registerViews } from '../../src/ingest/generations.ts'
import { startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { startSweeper } from '../../src/ingest/sweep.ts'
import { codeOf, connect, type Sql } from '../../src/platform/postgres.ts'
import { partitionId } from './change-arbitrary.ts'
import type { Scene } from './scene.ts'
import { expectApplied, stretchOf } from './stretch.ts'

export type Work = Pick<Scene, 'model' | 'decoder' | 'log' | 'draw' | 'batch' | 'budget'> & {
  readonly url: string
  /** The partitions that this process owns; absent: all. */
  readonly owns?: ReadonlySet<string>
}

/** As the pump does: two appliers that deadlock, over a changed key's two sides, are no fault of the batch. */
const stubbornly = async <T>(attempt: () => Promise<T>): Promise<T> => {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt()
    } catch (error) {
      if (codeOf(error) !== '40P01' || tries === 5) throw error
    }
  }
}

/** Ends when its partitions are applied and nothing is left in the dirty log; throws when it loses the database. */
export const runProcess = async (work: Work): Promise<void> => {
  const sql = connect(work.url, { max: 1, name: 'law' })
  const own = connect(work.url, { max: 1, name: 'law maintainer' })
  try {
    const catalog = await registerViews(sql, work.model)
    const applying = { over: false }
    const applier = createApplier(sql, work.model, catalog)
    const apply = async (): Promise<void> => {
      for (let batch = await nextBatch(sql, work); batch.length > 0; batch = await nextBatch(sql, work))
        expectApplied(await stubbornly(() => applier.apply(batch)))
      applying.over = true
    }
    const ends = [...work.log.values()].map((lane) => {
      const { topic, partition, offset } = lane.at(-1)!
      return { topic, partition, start: 0n, end: offset + 1n }
    })
    const source = { extents: async () => ends }
    const sweeper = startSweeper({ sql, model: work.model, catalog, source, ttl: 'P30D', auto: false })
    const maintainer = startMaintainer({ sql: own, catalog, published: async () => undefined, auto: false })
    const maintain = async (): Promise<void> => {
      for (let idle = 0; ; ) {
        const last = applying.over
        const { entries } = await maintainer.round(work.budget)
        if (entries > 0) continue
        idle += 1
        if ((last || idle % 8 === 0) && (await sweeper.sweep()) > 0) continue
        if (last && (await isQuiet(sql))) return
        await sleep(1)
      }
    }
    await Promise.all([apply(), maintain()])
  } finally {
    await Promise.all([sql.end({ timeout: 0 }), own.end({ timeout: 0 })])
  }
}

/** No entry is left, for anybody. */
export const isQuiet = async (sql: Sql): Promise<boolean> => {
  const [row] = await sql<{ quiet: boolean }[]>`select not exists (select from forebay.dirty) as quiet`
  return row!.quiet
}

/** Some of the owned partitions' next records, from where the positions in Postgres are. */
const nextBatch = async (sql: Sql, { decoder, log, draw, batch, owns }: Work) => {
  const positions = await sql<{ topic: string; partition: number; next_offset: string }[]>`
    select topic, partition, next_offset from forebay.positions order by topic, partition`
  const open = positions.flatMap((position) => {
    const id = partitionId(position)
    const from = BigInt(position.next_offset)
    const rest: readonly LogRecord[] = (log.get(id) ?? []).filter(({ offset }) => offset >= from)
    return rest.length > 0 && (!owns || owns.has(id)) ? [{ rest, from }] : []
  })
  if (open.length === 0) return []
  const first = draw.pick(open)
  return [first, ...draw.some(open, 3).filter((lane) => lane !== first)].map(({ rest, from }) =>
    stretchOf(decoder, rest.slice(0, 1 + draw.below(batch)), from),
  )
}
