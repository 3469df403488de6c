/** What an ingest process does, in small: registers the views, applies what a log still has for it, keeps the views up. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createApplier } from '../../src/ingest/apply/apply.ts'
import type { LogRecord } from '../../src/ingest/change.ts'
import { openCatalog, registerViews } from '../../src/ingest/generations.ts'
import { startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { releaseShards } from '../../src/ingest/maintain/shards.ts'
import { plans } from '../../src/ingest/session-settings.ts'
import { startSweeper } from '../../src/ingest/sweep.ts'
import { startViewFloors } from '../../src/ingest/view-floors.ts'
import { codeOf, connect, type Sql } from '../../src/platform/postgres.ts'
import { partitionId } from './change-arbitrary.ts'
import { startCuttingProxy } from './cutting-proxy.ts'
import type { Scene } from './scene.ts'
import { expectApplied, stretchOf } from './stretch.ts'

export type Work = Pick<Scene, 'model' | 'decoder' | 'log' | 'draw' | 'batch' | 'budget'> & {
  readonly url: string
  /** The partitions that this process owns; absent: all. */
  readonly owns?: ReadonlySet<string>
  /** The log as far as it goes, where `log` is only what this process gets to read of it. */
  readonly whole?: Scene['log']
  /** Shards change hands every few rounds, not once a second; now and then this process has none for a while. */
  readonly restless?: true
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
  const own = connect(work.url, { max: 1, name: 'law maintainer', settings: plans })
  try {
    await registerViews(sql, work.model)
    const catalog = await openCatalog(sql, work.model)
    const applying = { over: false }
    const applier = createApplier(sql, work.model, catalog)
    const apply = async (): Promise<void> => {
      for (let batch = await nextBatch(sql, work); batch.length > 0; batch = await nextBatch(sql, work))
        expectApplied(await stubbornly(() => applier.apply(batch)))
      applying.over = true
    }
    const ends = [...(work.whole ?? work.log).values()].map((lane) => {
      const { topic, partition, offset } = lane.at(-1)!
      return { topic, partition, start: 0n, end: offset + 1n }
    })
    const source = { extents: async () => ends }
    const sweeper = startSweeper({ sql, model: work.model, catalog, source, ttl: 'P30D', auto: false })
    const floors = startViewFloors({ sql, catalog, auto: false })
    // One that is new balances its shards before its first round.
    const start = () =>
      startMaintainer({
        sql: own,
        catalog,
        published: async () => undefined,
        wide: work.budget % 3 ? 1_000 : work.budget,
        auto: false,
      })
    let maintainer = start()
    const unsettle = async (): Promise<void> => {
      if (work.draw.oneIn(3)) {
        await releaseShards(own)
        await sleep(work.draw.below(20))
      }
      maintainer = start()
    }
    const maintain = async (): Promise<void> => {
      for (let idle = 0; ; ) {
        const last = applying.over
        if (work.restless && (work.draw.oneIn(8) || idle % 16 === 15)) await unsettle()
        // Now and then a large one: a value that leads to thousands of rows is followed a round's keys at a time.
        const { entries } = await maintainer.round(work.draw.oneIn(4) ? 1_000 : work.budget)
        if (entries > 0) continue
        idle += 1
        if ((last || idle % 8 === 0) && (await sweeper.sweep()) + (await floors.move()) > 0) continue
        if (last && (await isQuiet(sql))) return
        await sleep(2)
      }
    }
    await Promise.all([apply(), maintain()])
  } finally {
    await Promise.all([sql.end({ timeout: 0 }), own.end({ timeout: 0 })])
  }
}

/** Cuts the process's connections after some messages, again and again, until it has come to its end. Answers with the number of cuts. */
export const runCut = async (work: Work): Promise<number> => {
  for (let cuts = 0; ; cuts++) {
    const proxy = await startCuttingProxy(work.url, 20 + work.draw.below(400) + 60 * cuts)
    try {
      await runProcess({ ...work, url: proxy.url })
      return cuts
    } catch (error) {
      if (!proxy.isCut()) throw error
    } finally {
      await proxy.close()
    }
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
