/** Laws 1 and 2 with records among the others that can't be read until the schema folder is mended. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { redriveQuarantined } from '../../src/operate/quarantine/act.ts'
import { customer, type Draft, gone, openParking, order, type Parking, UNSENT } from './parking.ts'
import { check } from './runs.ts'
import type { Row } from './seen.ts'
import { expectViewsEqualQuery } from './tables.ts'

const rowsNow = async (p: Parking): Promise<number> => {
  const [row] = await p.database.sql<{ n: number }[]>`
    select count(*)::int as n from forebay.quarantine where state in ('PARKED', 'WAITING')`
  return row!.n
}

const step = fc.record({
  what: fc.constantFrom(
    'full',
    'full',
    'poison',
    'partial',
    'partial',
    'delete',
    'again',
    'redrive',
    'redrive in vain',
  ),
  topic: fc.constantFrom('customers', 'orders'),
  id: fc.constantFrom('a', 'b', 'c', 'd'),
  other: fc.constantFrom('a', 'b', 'c', 'd', null),
  number: fc.integer({ min: 1, max: 9 }),
  batch: fc.boolean(),
})
type Steps = readonly (typeof step extends fc.Arbitrary<infer S> ? S : never)[]

/** What the sources hold in the end. */
type Source = { readonly customers: Map<string, Row>; readonly orders: Map<string, Row> }

const run = async (p: Parking, steps: Steps): Promise<Source> => {
  const source: Source = { customers: new Map(), orders: new Map() }
  const sent = new Map<string, Draft[]>()
  const waiting = new Map<string, Draft[]>()
  let lsn = 0
  const partitionOf = (id: string) => id.charCodeAt(0) % 2
  const flush = async (lane: string): Promise<void> => {
    const drafts = waiting.get(lane) ?? []
    waiting.delete(lane)
    if (drafts.length === 0) return
    const result = await p.apply(drafts, { partition: Number(lane.slice(-1)) })
    if (result.kind !== 'applied' || !result.whole) throw new Error(`not applied: ${JSON.stringify(result)}`)
  }
  for (const { what, topic, id, other, number, batch } of steps) {
    const lane = `${topic}-${partitionOf(id)}`
    const send = (...drafts: readonly Draft[]) => waiting.set(lane, [...(waiting.get(lane) ?? []), ...drafts])
    const write = (draft: Draft) => {
      lsn += 1
      const dated = { ...draft, more: { ...draft.more, lsn } }
      sent.set(lane, [...(sent.get(lane) ?? []), dated])
      send(dated)
    }
    const rows = topic === 'customers' ? source.customers : source.orders
    const before = rows.get(id)
    const full = (tier: string): void => {
      if (topic === 'customers') {
        rows.set(id, { id, name: `n${number}`, tier })
        write(customer(id, { name: `n${number}`, tier }))
      } else {
        rows.set(id, { id, customerId: other, tier, total: number })
        write(order(id, other, { tier, total: number }))
      }
    }
    if (what === 'full') full('GOLD')
    else if (what === 'poison') full('SILVER')
    else if (what === 'partial' && before && topic === 'customers') {
      rows.set(id, { ...before, name: `n${number}` })
      write(customer(id, { name: `n${number}`, tier: UNSENT }))
    } else if (what === 'partial' && before) {
      rows.set(id, { ...before, total: number })
      write(order(id, before.customerId as string | null, { tier: UNSENT, total: number }))
    } else if (what === 'delete' && before) {
      rows.delete(id)
      write(gone(topic, id))
    } else if (what === 'again') send(...(sent.get(lane) ?? []).slice(-number))
    else if (what === 'redrive') await redriveQuarantined(p.means(), {})
    else if (what === 'redrive in vain') await redriveQuarantined(p.means(p.broken), {})
    if (batch) await flush(lane)
  }
  for (const lane of [...waiting.keys()]) await flush(lane)
  return source
}

const sourceRows = ({ customers, orders }: Source) =>
  new Map([
    ['Customer', customers],
    ['Contact', customers],
    ['Order', orders],
    ['Reading', new Map()],
    ['Tagged', new Map()],
  ])

test('law 1, law 2, C19: after the fix and a redrive every view equals the oracle', { timeout: 600_000 }, () =>
  check(
    12,
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80, size: 'max' }), async (steps) => {
      const p = await openParking()
      try {
        const source = await run(p, steps)
        await redriveQuarantined(p.means(), {})
        expect(await rowsNow(p)).toBe(0)
        await p.drain()
        await expectViewsEqualQuery(p.database.sql, p.mendedModel, sourceRows(source))
      } finally {
        await p.database.drop()
      }
    }),
  ),
)

const many = Number(process.env.FOREBAY_POISON_ROWS ?? 20_000)

test(`C19 one poison record among ${many}: every other key is applied and not degraded, and the fix brings it in`, {
  timeout: 1_800_000,
}, async () => {
  const p = await openParking()
  try {
    const { sql } = p.database
    const poisoned = Math.floor(many / 2)
    const begun = performance.now()
    for (let from = 0; from < many; from += 5_000) {
      const count = Math.min(5_000, many - from)
      const draft = (n: number) => customer(`c${n}`, n === poisoned ? { tier: 'SILVER' } : {})
      await p.apply(Array.from({ length: count }, (_, i) => draft(from + i)))
      await p.drain()
    }
    // A successor that leaves something out.
    await p.apply([customer(`c${poisoned}`, { name: 'Later', tier: UNSENT }), customer('c0', { name: 'Later' })])
    await p.drain()
    const { table, generation } = p.catalog.generations.find(({ view }) => view.name === 'CustomerFile')!
    const count = async () => (await sql.unsafe<{ n: number }[]>(`select count(*)::int as n from ${table.table}`))[0]!.n
    expect(await count()).toBe(many - 1)
    expect(await p.states()).toEqual([`${poisoned} PARKED`, `${many} WAITING`])
    const marks = await sql<{ key: string }[]>`
      select distinct key from forebay.degraded where generation = ${generation} and settled_at is null`
    expect(marks).toEqual([{ key: `["c${poisoned}"]` }])
    const applied = performance.now()
    expect(await redriveQuarantined(p.means(), {})).toMatchObject({ redriven: 2, parked: 0, waiting: 0 })
    await p.drain()
    const redriven = performance.now()
    const rows = new Map<string, Row>()
    for (let n = 0; n < many; n++) rows.set(`c${n}`, { id: `c${n}`, name: 'Ann', tier: 'GOLD' })
    rows.set(`c${poisoned}`, { id: `c${poisoned}`, name: 'Later', tier: 'SILVER' })
    rows.set('c0', { id: 'c0', name: 'Later', tier: 'GOLD' })
    const differing = await sql.unsafe<{ n: number }[]>(
      `select count(*)::int as n from ${table.table} v
       full join json_to_recordset($1::text::json) as x(id text, name text, tier text) using (id)
       where (v.name, v.tier, v.orders, v.spent) is distinct from (x.name, x.tier, 0, 0::bigint)`,
      [JSON.stringify([...rows.values()])],
    )
    expect(differing[0]!.n).toBe(0)
    const seconds = (ms: number) => (ms / 1_000).toFixed(1)
    console.info(
      `${many} records: applied and in the view in ${seconds(applied - begun)} s, redriven and in the view in ${seconds(redriven - applied)} s`,
    )
  } finally {
    await p.database.drop()
  }
})
