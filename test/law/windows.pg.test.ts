/**
 * Windows: what a reader is told of them at any moment equals the oracle's, by a clock that is given, whatever happened to the rows and in
 * whatever order: rows on a step's edge, ahead of the clock, without a time, moved, deleted, of another tenant.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { CellValue } from '../../src/ingest/change.ts'
import { expireSteps } from '../../src/ingest/expire-steps.ts'
import { compileView } from '../../src/model/sql/compile-view.ts'
import { type Draw, drawFrom, tape } from './draw.ts'
import { answersAt } from './moments.ts'
import { viewRows } from './oracle.ts'
import { unproven } from './proofs.ts'
import { check } from './runs.ts'
import type { Row } from './seen.ts'
import { change, openStage, type Stage } from './stage.ts'
import { expectViewsEqualQuery } from './tables.ts'
import { instant, micros } from './values.ts'

const text = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "law")
enum Kind { A B OTHER @value(other: true) }
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  tenantId: ID! @tenant
  name: String!
  orders: [Order!]! @join(to: "customerId")
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }, deleted: { gone: { eq: true } }) {
  id: ID!
  tenantId: ID! @tenant
  customerId: ID
  kind: Kind!
  units: Int!
  total: Decimal! @column(scale: 2)
  gone: Boolean!
  at: DateTime
  parcelId: ID
  parcel: Parcel @join(from: "parcelId")
  lines: [Line!]! @join(to: "orderId")
}
type Parcel @entity(domain: "shop", key: "id", source: { topic: "parcels" }) { id: ID! tenantId: ID! @tenant sentAt: DateTime! }
type Line @entity(domain: "shop", key: ["orderId", "n"], source: { topic: "lines" }) {
  orderId: ID!
  n: Int!
  order: Order! @join(from: "orderId") @tenant
  units: Int!
  at: DateTime!
}
type Busy @view(of: "Customer") @allow(roles: [READER]) {
  name: String!
  every: Int! @count(of: "orders")
  minute: Int! @count(of: "orders", window: { on: "at", last: "PT1M" })
  hour: Long! @count(of: "orders", window: { on: "at", last: "PT1H", step: "PT15M" })
  day: Long! @sum(of: "orders.units", window: { on: "at", last: "P1D", step: "P1D" })
  spent: Decimal! @sum(of: "orders.total", where: { kind: { ne: A } }, window: { on: "at", last: "PT2H", step: "PT1H" })
  usual: Decimal @avg(of: "orders.total", window: { on: "at", last: "PT30M", step: "PT10M" })
  sent: Int! @count(of: "orders", window: { on: "parcel.sentAt", last: "PT1H", step: "PT1H" })
  lines: Long! @sum(of: "orders.lines.units", window: { on: "order.at", last: "PT1H", step: "PT5M" })
  latest: Int! @count(of: "orders.lines.units", where: { order: { kind: { eq: B } } }, window: { on: "at", last: "PT2S", step: "PT1S" })
  share: Boolean! @expr(sql: "hour * 2 > every")
  hectic: Boolean! @expr(sql: "share and minute > 0")
}
type Kinds @view(of: "Order", where: { units: { lt: 90 } }, groupBy: ["kind", "sent"]) @allow(roles: [READER]) {
  kind: Kind!
  sent: DateTime @from(path: "parcel.sentAt", bucket: { by: DAY })
  every: Int! @count
  hour: Int! @count(window: { on: "at", last: "PT1H", step: "PT15M" })
  spent: Decimal! @sum(of: "total", where: { units: { gt: 5 } }, window: { on: "at", last: "PT2H", step: "PT15M" })
  usual: Decimal @avg(of: "total", window: { on: "at", last: "PT30M", step: "PT10M" })
  shipped: Long! @sum(of: "units", window: { on: "parcel.sentAt", last: "P1D", step: "PT1H" })
  share: Boolean! @expr(sql: "hour * 2 > every")
}
`

const BASE = micros('2026-03-29T00:30:00Z')
const MINUTE = 60_000_000n
const spans = [1_000_000n, MINUTE, 5n * MINUTE, 10n * MINUTE, 15n * MINUTE, 60n * MINUTE, 1440n * MINUTE]

/** As far as instants go. */
const ends = [micros('0001-01-01T00:00:00Z'), micros('9999-12-31T23:59:59.999999Z')]

/** Near an edge of some step as often as not, a microsecond to either side or on it. */
const near = (draw: Draw): bigint => {
  const span = draw.pick(spans)
  const edge = (BASE / span) * span + BigInt(draw.below(7) - 3) * span
  return draw.oneIn(3) ? BASE + BigInt(draw.below(14_400) - 7_200) * 1_000_000n : edge + BigInt(draw.below(3) - 1)
}
const moment = (draw: Draw): bigint => (draw.oneIn(30) ? draw.pick(ends) : near(draw))

const tenants = ['acme', 'acme', 'acme', 'globex']
type Made = { readonly entity: string; readonly row: Record<string, CellValue> }

const makeRow = (draw: Draw): Made => {
  const id = `${draw.below(12)}`
  const time = draw.oneIn(8) ? null : instant(moment(draw))
  switch (draw.below(8)) {
    case 0:
      return { entity: 'Parcel', row: { id, tenantId: draw.pick(tenants), sentAt: instant(moment(draw)) } }
    case 1:
    case 2:
      return {
        entity: 'Line',
        row: { orderId: id, n: draw.below(3), units: draw.below(50) - 5, at: instant(moment(draw)) },
      }
    case 3:
      return { entity: 'Customer', row: { id: `${draw.below(3)}`, tenantId: draw.pick(tenants), name: 'Ann' } }
    default:
      return {
        entity: 'Order',
        row: {
          id,
          tenantId: draw.pick(tenants),
          customerId: draw.oneIn(8) ? null : `${draw.below(3)}`,
          kind: draw.pick(['A', 'B', 'OTHER']),
          units: draw.below(100),
          total: `${draw.below(1000) - 100}.${10 + draw.below(90)}`,
          gone: draw.oneIn(8),
          at: time,
          parcelId: draw.oneIn(3) ? null : `${draw.below(12)}`,
        },
      }
  }
}

/** Steps that nothing reads from `now` on go, or some of them: it may be broken off. */
const expire = (stage: Stage, draw: Draw, now: string): Promise<number> => {
  let left = draw.oneIn(2) ? draw.below(8) : Number.POSITIVE_INFINITY
  return expireSteps(stage.database.sql, stage.catalog, { chunk: 1 + draw.below(20), stopped: () => left-- <= 0, now })
}

/** What the store is told, in batches with rounds of maintenance between them, and what its sources hold then. `from`: nobody asks before. */
const happen = async (
  stage: Stage,
  draw: Draw,
  from: string,
): Promise<ReadonlyMap<string, ReadonlyMap<string, Row>>> => {
  const rows = new Map([...stage.model.entities.keys()].map((name) => [name, new Map<string, Row>()]))
  let version = 0
  const customers = ['0', '1', '2'].map(
    (id): Made => ({ entity: 'Customer', row: { id, tenantId: 'acme', name: 'Ann' } }),
  )
  const said: Made[][] = [
    customers,
    ...Array.from({ length: 6 }, () => Array.from({ length: 12 }, () => makeRow(draw))),
  ]
  for (const batch of said) {
    const changes = batch.flatMap(({ entity, row }) => {
      const { key } = stage.model.entities.get(entity)!
      const own = Object.fromEntries(key.map((name) => [name, row[name]!]))
      const id = JSON.stringify(Object.values(own))
      const before = rows.get(entity)!.get(id)
      // A key that changes its tenant is another rule's business.
      if (before && before.tenantId !== row.tenantId) return []
      version += 1
      if (before && draw.oneIn(5)) {
        rows.get(entity)!.delete(id)
        return [{ ...change(entity, own, version), op: 'delete' as const }]
      }
      rows.get(entity)!.set(id, row)
      const made = change(entity, row, version)
      return draw.oneIn(6) ? [made, made] : [made]
    })
    await stage.apply(0, ...changes)
    if (draw.oneIn(2)) await stage.drain()
    if (draw.oneIn(3)) await expire(stage, draw, from)
  }
  await stage.drain()
  return rows
}

test('law 1 a window at any moment holds what the oracle says, and moves on with no event', { timeout: 600_000 }, () =>
  check(
    12,
    fc.asyncProperty(tape(3000), async (numbers) => {
      const draw = drawFrom(numbers)
      const stage = await openStage(text)
      try {
        const { sql } = stage.database
        const moments = Array.from({ length: 12 }, () => near(draw)).sort((a, b) => (a < b ? -1 : 1))
        const rows = await happen(stage, draw, instant(moments[0]!))
        await expectViewsEqualQuery(sql, stage.model, rows)
        const views = [...stage.model.views.values()]
        const proofs = views.flatMap((view) => compileView(stage.model, view).proofs)
        for (const now of moments.map(instant)) {
          if (draw.oneIn(3)) await expire(stage, draw, now)
          expect(await unproven(sql, proofs), `at ${now}`).toEqual([])
          for (const view of views) {
            const wanted = viewRows(stage.model, view, rows, now)
            for (const tenant of ['acme', 'globex']) {
              const expected = wanted.filter((row) => row.tenant === tenant)
              const grouped = expected.map(({ key }) => key.map((value) => (value === null ? null : String(value))))
              const keys = view.groupBy ? grouped : [['0'], ['1'], ['2']]
              const found = await answersAt(sql, stage.model, view, { tenant, now, keys })
              const answers = new Map(found.map(({ key, fields }) => [JSON.stringify(JSON.parse(key)), fields]))
              const said = new Map(expected.map((row) => [JSON.stringify(row.key), row.values]))
              expect(answers, `${view.name} at ${now}`).toEqual(said)
            }
          }
        }
      } finally {
        await stage.close()
      }
    }),
  ),
)
