/**
 * Wall-clock time in an IANA zone to UTC, as Postgres does it: a time that a clock skips takes the offset from before the gap,
 * a time that comes twice takes the later offset.
 */
const day = 86_400_000

/** The UTC milliseconds of a wall-clock time given as if it were UTC. */
export const wallToUtc = (wall: number, zone: string): number => {
  if (zone === 'UTC') return wall
  const before = offsetAt(zone, wall - day)
  const after = offsetAt(zone, wall + day)
  if (before === after) return wall - before
  const later = wall - after
  if (offsetAt(zone, later) === after) return later
  return wall - before
}

const formats = new Map<string, Intl.DateTimeFormat>()
const offsets = new Map<string, number>()
/** Offsets change on quarters of an hour, in every zone, since then. */
const regular = Date.UTC(1980, 0)
const quarter = 900_000
const mostOffsets = 20_000

/** What the zone's clocks are ahead of UTC at an instant, in milliseconds. Formatting takes microseconds, so it is remembered. */
const offsetAt = (zone: string, utc: number): number => {
  if (utc < regular) return computeOffset(zone, utc)
  const key = `${zone} ${Math.floor(utc / quarter)}`
  const known = offsets.get(key)
  if (known !== undefined) return known
  const offset = computeOffset(zone, utc)
  if (offsets.size >= mostOffsets) offsets.clear()
  offsets.set(key, offset)
  return offset
}

const computeOffset = (zone: string, utc: number): number => {
  const parts: Record<string, number> = {}
  for (const part of formatOf(zone).formatToParts(utc)) parts[part.type] = Number(part.value)
  const { year = 0, month = 1, day: date = 1, hour = 0, minute = 0, second = 0 } = parts
  // Not Date.UTC: it takes the years 0 to 99 for 1900 to 1999.
  const wall = new Date(0)
  wall.setUTCFullYear(year, month - 1, date)
  wall.setUTCHours(hour, minute, second)
  return wall.getTime() - Math.floor(utc / 1000) * 1000
}

const formatOf = (zone: string): Intl.DateTimeFormat => {
  const known = formats.get(zone)
  if (known) return known
  const numeric = 'numeric'
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    calendar: 'gregory',
    year: numeric,
    month: numeric,
    day: numeric,
    hour: numeric,
    minute: numeric,
    second: numeric,
  })
  formats.set(zone, format)
  return format
}
