/**
 * The primary Postgres's clock, seen from here (C24). One reading, asked for between `before` and `after` of this process's
 * monotonic clock, bounds it from both sides; the bounds widen until the next reading.
 * Stamps (frontier, origin) take the lower bound and ages the upper, so that an answer never claims to be fresher than it is.
 */
import type { Sql } from './postgres.ts'

export type DatabaseClock = {
  /** Milliseconds since 1970, rounded down: the primary's clock shows at least this. */
  lower(): number
  /** Milliseconds since 1970, rounded up: the primary's clock shows at most this. */
  upper(): number
  /** Reads the clock. Due at first; later readings happen by themselves about once a second while bounds are asked for. */
  refresh(): Promise<void>
}
/** `low` and `high` bound the primary's clock at the monotonic time `at`. */
type Reading = { readonly at: number; readonly low: number; readonly high: number }

const staleMs = 1_000
/** Two clocks' rates differ by at most this: NTP slews by 500 ppm, oscillators err by less than 200. */
const drift = 0.001

const ask = async (sql: Sql): Promise<number> => {
  const [row] = await sql<{ ms: number }[]>`select extract(epoch from clock_timestamp())::float8 * 1000 as ms`
  return row!.ms
}

/**
 * `sql` must reach the primary: a replica has a clock of its own. `now` and `read` are for tests.
 * `lower` and `upper` throw before the first `refresh()`, which throws what Postgres throws.
 */
export const databaseClock = (
  sql: Sql,
  now: () => number = () => performance.now(),
  read = () => ask(sql),
): DatabaseClock => {
  let reading: Reading | undefined
  let asking: Promise<void> | undefined

  const at = (time: number, { at, low, high }: Reading): Reading => {
    const passed = time - at
    return { at: time, low: low + passed * (1 - drift), high: high + passed * (1 + drift) }
  }
  const look = async (): Promise<void> => {
    const before = now()
    const shown = await read()
    const after = now()
    const fresh = { at: after, low: shown, high: shown + (after - before) * (1 + drift) }
    const old = reading && at(after, reading)
    // A slow answer says little; the older reading may still know better, unless the clock was set meanwhile.
    const agree = old && old.low <= fresh.high && fresh.low <= old.high
    reading = agree && old.high - old.low < fresh.high - fresh.low ? old : fresh
    looked = after
  }
  let looked = Number.NEGATIVE_INFINITY
  const refresh = (): Promise<void> => {
    asking ??= look().finally(() => {
      asking = undefined
    })
    return asking
  }
  const bounds = (): Reading => {
    if (!reading) throw new Error('the database clock has not been read: await refresh() first')
    const time = now()
    // A failed reading leaves wider bounds, which stay true.
    if (time - looked > staleMs) refresh().catch(() => {})
    return at(time, reading)
  }
  return { lower: () => Math.floor(bounds().low), upper: () => Math.ceil(bounds().high), refresh }
}
