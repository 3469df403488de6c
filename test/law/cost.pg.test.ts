/** Law 8 over random declarations and rows: what maintenance costs grows with distinct keys, not with how often they changed. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createApplier } from '../../src/ingest/apply/apply.ts'
import { openCatalog } from '../../src/ingest/generations.ts'
import { createAnnounce } from '../../src/ingest/maintain/change-feed.ts'
import { balanceShards } from '../../src/ingest/maintain/shards.ts'
import { createWorker } from '../../src/ingest/maintain/worker.ts'
import { plans } from '../../src/ingest/session-settings.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { partitionId } from './change-arbitrary.ts'
import { startCuttingProxy } from './cutting-proxy.ts'
import type { SourceWrite } from './debezium.ts'
import { tape } from './draw.ts'
import { withDatabase } from './engine.ts'
import { runProcess } from './process.ts'
import { KEYS, keyOf, makeRow } from './row-arbitrary.ts'
import { check } from './runs.ts'
import type { Scene } from './scene.ts'
import { schemaArbitrary } from './schema-arbitrary.ts'
import type { Row } from './seen.ts'
import { expectApplied, stretchOf } from './stretch.ts'
import { expectViewsEqualQuery } from './tables.ts'

/** A row that goes from one state to another and back; null: it isn't there. */
type Swing = Pick<SourceWrite, 'entity' | 'key'> & { readonly here: Row | null; readonly there: Row | null }

const drawSwings = ({ draw, sent, rows }: Scene): readonly Swing[] => {
  const entities = [...sent.entities.values()]
  const all = entities.flatMap((entity) => Array.from({ length: KEYS }, (_, index) => ({ entity, index })))
  const chosen = draw.oneIn(4) ? all : draw.some(all, 6)
  return chosen.flatMap(({ entity, index }) => {
    const key = keyOf(entity, index)
    const here = rows.get(entity.name)!.get(JSON.stringify(key)) ?? null
    const there = here && draw.oneIn(4) ? null : makeRow(draw, sent, entity, index, here ?? undefined, draw.oneIn(3))
    return [{ entity, key, here, there }]
  })
}

/** Later than all that the log has. */
const LATER = 1_000_000n

const openCost = async (scene: Scene & { readonly sql: Sql; readonly url: string }) => {
  const { sql, url, model, log, decoder, draw } = scene
  const catalog = await openCatalog(sql, model)
  const applier = createApplier(sql, model, catalog)
  const proxy = await startCuttingProxy(url)
  const own = connect(proxy.url, { max: 1, name: 'counted', settings: plans })
  await balanceShards(own)
  const announce = createAnnounce('NOTIFY')
  // Asked for once in a process.
  await own.begin((tx) => announce.ready(tx))
  const worker = createWorker(own, catalog, 1_000, announce)
  const ends = new Map([...log].map(([id, lane]) => [id, lane.at(-1)!.offset + 1n]))
  let lsn = LATER
  const written = async (): Promise<number> => {
    await own`select pg_stat_force_next_flush()`
    const [row] = await own<{ n: number }[]>`
      select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::int as n from pg_stat_user_tables where schemaname = 'forebay_view'`
    return row!.n
  }
  const drain = async () => {
    const before = { rows: await written(), statements: proxy.counted().executes }
    while ((await worker.live(30_000)).entries > 0);
    const statements = proxy.counted().executes - before.statements
    return { statements, rows: (await written()) - before.rows }
  }
  return {
    drain,
    async apply(writes: readonly Omit<SourceWrite, 'lsn' | 'op'>[]): Promise<void> {
      const records = writes.flatMap((write) => {
        lsn += 1n
        return scene.encode({ ...write, op: write.row ? 'u' : 'd', lsn })
      })
      for (const [id, lane] of Map.groupBy(records, partitionId)) {
        const { topic, partition } = lane[0]!
        if (!ends.has(id))
          await sql`insert into forebay.positions (topic, partition, next_offset) values (${topic}, ${partition}, 0)`
        const from = ends.get(id) ?? 0n
        const placed = lane.map((record, i) => ({ ...record, offset: from + BigInt(i) }))
        ends.set(id, from + BigInt(lane.length))
        for (let at = 0; at < placed.length; ) {
          const some = placed.slice(at, at + 1 + draw.below(20))
          expectApplied(await applier.apply([stretchOf(decoder, some, some[0]!.offset)]))
          at += some.length
        }
      }
    },
    async close() {
      await own.end({ timeout: 1 })
      await proxy.close()
    },
  }
}

test('law 8 work follows keys: rows changed many times cost what they cost changed once, and rows said again cost no row', {
  timeout: 600_000,
}, async () => {
  let rows = 0
  await check(
    10,
    fc.asyncProperty(schemaArbitrary, tape(6000), (text, numbers) =>
      withDatabase(text, numbers, async (scene) => {
        await runProcess(scene)
        const swings = drawSwings(scene)
        const cost = await openCost(scene)
        try {
          const there = swings.map(({ entity, key, there }) => ({ entity, key, row: there }))
          const back = swings.map(({ entity, key, here }) => ({ entity, key, row: here }))
          await cost.apply(there)
          const once = await cost.drain()
          await cost.apply(back)
          await cost.drain()
          for (let times = 1 + scene.draw.below(6); times > 0; times--) await cost.apply([...there, ...back])
          await cost.apply(there)
          expect(await cost.drain()).toEqual(once)
          rows += once.rows
          await cost.apply(there)
          expect((await cost.drain()).rows).toBe(0)
          const now = new Map([...scene.rows].map(([name, held]) => [name, new Map(held)]))
          for (const { entity, key, row } of there) {
            if (row) now.get(entity.name)!.set(JSON.stringify(key), row)
            else now.get(entity.name)!.delete(JSON.stringify(key))
          }
          await expectViewsEqualQuery(scene.sql, scene.model, now)
        } finally {
          await cost.close()
        }
      }),
    ),
  )
  expect(rows).toBeGreaterThan(0)
})
