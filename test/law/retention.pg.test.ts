/** Law 1 with rows that are kept for a time: each view equals its query before they go, and the oracle over what is left after; what is gone stays gone. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { registerViews } from '../../src/ingest/generations.ts'
import { startSweeper } from '../../src/ingest/sweep.ts'
import type { Model } from '../../src/model/model.ts'
import { redelivered } from './change-arbitrary.ts'
import { tape } from './draw.ts'
import { withDatabase } from './engine.ts'
import { runProcess } from './process.ts'
import { check } from './runs.ts'
import { schemaArbitrary } from './schema-arbitrary.ts'
import type { SourceRows } from './seen.ts'
import { change, customer, openStage, order, SHOP } from './stage.ts'
import { expectViewsEqualQuery } from './tables.ts'

/** Between the instants that rows are drawn with; the database's clock is past all of them. */
const CUT = '2026-06-01T00:00:00Z'
const ttl = (): string => `PT${Math.round((Date.now() - Date.parse(CUT)) / 1000)}S`

const keptForATime = (text: string): string =>
  text.replaceAll(/^(type \w+ @entity\((?!.*FIELD_CLOCK).*\)) \{$/gm, `$1 @retention(ttl: "${ttl()}", on: "at") {`)

const left = (model: Model, rows: SourceRows): SourceRows =>
  new Map(
    [...rows].map(([name, held]) => [
      name,
      model.entities.get(name)!.retention
        ? new Map([...held].filter(([, row]) => Date.parse(String(row.at)) > Date.parse(CUT)))
        : held,
    ]),
  )

test(
  'law 1 with retention: what is left is what the views are of, and what is gone stays gone',
  { timeout: 600_000 },
  () =>
    check(
      8,
      fc.asyncProperty(schemaArbitrary, tape(6000), (text, numbers) =>
        withDatabase(keptForATime(text), numbers, async (scene) => {
          const rows = left(scene.model, scene.rows)
          await runProcess(scene)
          await expectViewsEqualQuery(scene.sql, scene.model, rows)
          await runProcess({ ...scene, log: redelivered(scene.draw, scene.log) })
          await expectViewsEqualQuery(scene.sql, scene.model, rows)
        }),
      ),
    ),
)

describe('a row that is kept for a time', () => {
  const KEPT = SHOP.replace(
    'source: { topic: "orders" }) {',
    'source: { topic: "orders" }) @retention(ttl: "P30D", on: "placedAt") {',
  ).replace('total: Int!', 'total: Int!\n  placedAt: DateTime!')
  const daysAgo = (days: number): string => new Date(Date.now() - days * 86_400_000).toISOString()
  const placed = (id: string, days: number, version: number, total = 10) =>
    change('Order', { ...order(id, 'c', version, total).row, placedAt: daysAgo(days) }, version)

  const opened = async () => {
    const stage = await openStage(KEPT)
    const catalog = await registerViews(stage.database.sql, stage.model)
    const sweeper = startSweeper({
      sql: stage.database.sql,
      model: stage.model,
      catalog,
      source: { extents: async () => [] },
      ttl: 'P30D',
      auto: false,
    })
    const orders = async () => {
      await stage.drain()
      const row = await stage.read('CustomerOrders', 'c')
      return [row?.orders, String(row?.spent)]
    }
    return { stage, sweeper, orders }
  }

  test('counts until it goes, and its totals then are of what is left', async () => {
    const { stage, sweeper, orders } = await opened()
    try {
      await stage.apply(0, customer('c', 1), placed('old', 31, 2), placed('new', 29, 3, 5))
      expect(await orders()).toEqual([2, '15'])
      expect(await sweeper.sweep()).toBe(1)
      expect(await orders()).toEqual([1, '5'])
      expect(await sweeper.sweep()).toBe(0)
    } finally {
      await stage.close()
    }
  })

  test('does not come back by what is read again, and a late change of it goes as well', async () => {
    const { stage, sweeper, orders } = await opened()
    try {
      await stage.apply(0, customer('c', 1), placed('old', 31, 5))
      await sweeper.sweep()
      await stage.apply(0, placed('old', 31, 5), placed('old', 40, 4))
      expect(await orders()).toEqual([0, '0'])
      await stage.apply(0, placed('old', 31, 6, 7))
      expect(await orders()).toEqual([1, '7'])
      expect(await sweeper.sweep()).toBe(1)
      expect(await orders()).toEqual([0, '0'])
    } finally {
      await stage.close()
    }
  })

  test('comes back by a change that gives it a time within', async () => {
    const { stage, sweeper, orders } = await opened()
    try {
      await stage.apply(0, customer('c', 1), placed('old', 31, 5))
      await sweeper.sweep()
      await stage.apply(0, placed('old', 1, 6, 8))
      expect(await orders()).toEqual([1, '8'])
      expect(await sweeper.sweep()).toBe(0)
    } finally {
      await stage.close()
    }
  })

  test.each(['FIELD_CLOCK', 'EVENT_TIME', 'VERSION'])(
    'goes by the time of its latest change, with conflict %s',
    async (conflict) => {
      const text = SHOP.replace(
        'source: { topic: "orders" }) {',
        `conflict: ${conflict}, source: { topic: "orders" }) @retention(ttl: "P30D") {`,
      )
      const stage = await openStage(text)
      try {
        const { sql } = stage.database
        const sweeper = startSweeper({
          sql,
          model: stage.model,
          catalog: stage.catalog,
          source: { extents: async () => [] },
          ttl: 'P30D',
          auto: false,
        })
        const at = (id: string, days: number, version: number, total: number) => ({
          ...order(id, 'c', version, total),
          eventTime: daysAgo(days),
        })
        const spent = async () => {
          await stage.drain()
          return String((await stage.read('CustomerOrders', 'c'))?.spent)
        }
        await stage.apply(0, customer('c', 1), at('old', 40, 2, 10), at('new', 2, 3, 5))
        expect(await spent()).toBe('15')
        expect(await sweeper.sweep()).toBe(1)
        expect(await spent()).toBe('5')
        await stage.apply(0, at('old', 40, 2, 10))
        expect(await spent()).toBe('5')
        await stage.apply(0, at('old', 1, 9, 7))
        expect(await spent()).toBe('12')
        expect(await sweeper.sweep()).toBe(0)
      } finally {
        await stage.close()
      }
    },
  )

  test('is found by index however many are kept', async () => {
    const { stage } = await opened()
    try {
      const { sql } = stage.database
      await sql`insert into shop."order" (id, tenant_id, total, placed_at, _epoch, _version, _tie, _partition, _offset)
        select n::text, 'acme', 1, now(), 0, 1, 1, 0, n from generate_series(1, 20000) n`
      await sql`analyze shop."order"`
      const plan = await sql.unsafe(
        `explain select id from shop."order" e where not _deleted and placed_at < now() - 2592000000 * interval '1 millisecond' order by placed_at limit 2000`,
      )
      expect(JSON.stringify(plan)).toContain('order_expiry_idx')
    } finally {
      await stage.close()
    }
  })
})
