/** The start of an instant's bucket, as an instant. The zone matters for days and (ISO, from Monday) weeks only. */
import type { Bucket } from '../../src/model/event-time.ts'
import { instant, micros } from './values.ts'

const SECOND = 1_000_000n
const DAY = 86_400n * SECOND

const floor = (us: bigint, size: bigint): bigint => us - (((us % size) + size) % size)

/** What the zone's clock shows at an instant, as microseconds of a clock in UTC showing the same. */
const localClock = (us: bigint, zone: string): bigint => {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    era: 'short',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(new Date(Number(floor(us, SECOND) / 1000n)))
  const get = (type: string): number => Number(parts.find((p) => p.type === type)!.value)
  const year = parts.some(({ type, value }) => type === 'era' && value.startsWith('B')) ? 1 - get('year') : get('year')
  const whole = new Date(Date.UTC(2000, get('month') - 1, get('day'), get('hour'), get('minute'), get('second')))
  // `Date.UTC` takes the years 0 to 99 for those of the twentieth century.
  whole.setUTCFullYear(year, get('month') - 1, get('day'))
  return BigInt(whole.getTime()) * 1000n + (us - floor(us, SECOND))
}

/** The instant at which the zone's clock shows `local`; midnights that a zone skips are not generated. */
const atLocalClock = (local: bigint, zone: string): bigint => {
  let guess = local
  for (let i = 0; i < 3; i++) guess += local - localClock(guess, zone)
  return guess
}

export const bucketStart = (iso: string, { by, zone }: Pick<Bucket, 'by' | 'zone'>): string => {
  const us = micros(iso)
  switch (by) {
    case 'MINUTE':
      return instant(floor(us, 60n * SECOND))
    case 'HOUR':
      return instant(floor(us, 3600n * SECOND))
    case 'DAY':
      return instant(atLocalClock(floor(localClock(us, zone), DAY), zone))
    case 'WEEK':
      // 1970-01-01 was a Thursday, so weeks that start on Monday are off by three days.
      return instant(atLocalClock(floor(localClock(us, zone) + 3n * DAY, 7n * DAY) - 3n * DAY, zone))
  }
}
