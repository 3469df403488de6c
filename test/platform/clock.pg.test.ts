import { expect, test } from 'vitest'
import { databaseClock } from '../../src/platform/clock.ts'
import { freshDatabase } from '../support/postgres.ts'

test('C24 the primary shows a time between the lower bound before and the upper bound after', async () => {
  const { sql, drop } = await freshDatabase()
  const clock = databaseClock(sql)
  await clock.refresh()
  for (let round = 0; round < 20; round++) {
    const low = clock.lower()
    const [row] = await sql<{ ms: number }[]>`select extract(epoch from clock_timestamp())::float8 * 1000 as ms`
    expect(row?.ms).toBeGreaterThanOrEqual(low)
    expect(row?.ms).toBeLessThanOrEqual(clock.upper())
  }
  expect(clock.upper() - clock.lower()).toBeLessThan(1_000)
  await drop()
})
