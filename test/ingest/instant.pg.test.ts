/** Instants against Postgres's own reading of them, which is what the stored values are compared with. */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { instantOfText, instantOfUnits, microsOf } from '../../src/ingest/decode/instant.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'

let database: Database
beforeAll(async () => {
  database = await freshDatabase(1)
})
afterAll(() => database?.drop())

const utc = { zone: 'UTC', wall: false }
const earliest = Date.parse('0001-01-01T00:00:00Z')
const latest = Date.parse('9999-12-31T23:59:59Z')
const micros = fc
  .tuple(fc.integer({ min: earliest / 1000, max: latest / 1000 }), fc.integer({ min: 0, max: 999_999 }))
  .map(([seconds, rest]) => BigInt(seconds) * 1_000_000n + BigInt(rest))

test('microseconds survive the way to text and back, and nanoseconds are cut', () => {
  fc.assert(
    fc.property(micros, fc.nat(999), (amount, nanos) => {
      const text = instantOfUnits(amount, 'MICROS', utc)
      expect(microsOf(text)).toBe(amount)
      expect(instantOfText(text, utc)).toBe(text)
      expect(instantOfUnits(amount * 1000n + BigInt(nanos), 'NANOS', utc)).toBe(text)
      if (Number.isSafeInteger(Number(amount))) expect(instantOfUnits(Number(amount), 'MICROS', utc)).toBe(text)
    }),
  )
})

test('Postgres reads each text as the very instant that the number meant', async () => {
  const amounts = fc.sample(micros, 500)
  const texts = amounts.map((amount) => instantOfUnits(amount, 'MICROS', utc))
  const rows = await database.sql<{ micros: string }[]>`
    select (extract(epoch from t::timestamptz) * 1000000)::bigint as micros from unnest(${texts}::text[]) with ordinality x (t, n) order by n`
  expect(rows.map((row) => BigInt(row.micros))).toEqual(amounts)
})

test('a wall clock is read as Postgres reads it, in every zone, gaps and repeated hours included', async () => {
  const zones = [
    'America/Los_Angeles',
    'Europe/Berlin',
    'Australia/Lord_Howe',
    'Asia/Kolkata',
    'America/Sao_Paulo',
    'Africa/Cairo',
    'Pacific/Apia',
  ]
  for (const zone of zones) {
    // The hours about every change of offset of 30 years, and as many others.
    const changes = await database.sql<{ wall: string }[]>`
      with hours as (select generate_series(timestamptz '1990-01-01Z', '2020-01-01Z', '1 hour') as t),
        offsets as (select t, t at time zone ${zone} - t at time zone 'UTC' as o from hours),
        moved as (select t from (select t, o, lag(o) over (order by t) as before from offsets) x where o <> before)
      select to_char((t at time zone ${zone}) + n * interval '10 minutes', 'YYYY-MM-DD"T"HH24:MI:SS') as wall
      from moved cross join generate_series(-20, 20) as n`
    const others = fc.sample(
      fc.date({ min: new Date('1950-01-01'), max: new Date('2035-01-01'), noInvalidDate: true }),
      300,
    )
    const walls = [...changes.map(({ wall }) => wall), ...others.map((date) => date.toISOString().slice(0, 19))]
    const rows = await database.sql<{ instant: string }[]>`
      select to_char(t::timestamp at time zone ${zone} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as instant
      from unnest(${walls}::text[]) with ordinality x (t, n) order by n`
    const different = walls.flatMap((wall, index) => {
      const ours = instantOfText(wall, { zone, wall: false })
      return ours === rows[index]!.instant ? [] : [`${zone} ${wall}: ${ours}, Postgres ${rows[index]!.instant}`]
    })
    expect(different).toEqual([])
  }
})
