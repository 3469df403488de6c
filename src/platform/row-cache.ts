/**
 * Rows in Redis, shared by who changes them and who reads them. A value is
 *
 *   version (20 digits) asOf (15 digits, milliseconds) feeds ⏎ row        or        version (20 digits) "tombstone"
 *
 * so that versions compare as text. One law: *a write only ever replaces an older version*, judged inside Redis. A reader that
 * fetched a row before it changed can't put it back after: the change left its version there (C30). Rows are as stored, before
 * any policy. They are named by keyed hashes (C33), of which the first letter is their hash tag: in a cluster, rows with
 * the same one lie together, so that one script call drops all of them.
 */
import type { RedisCommands } from './redis.ts'
import { redisScript } from './redis-script.ts'

export type RowKey = readonly (string | null)[]
/** `feeds`: JSON, how far each change feed was in the snapshot that the row was read in. */
export type CachedRow = {
  readonly version: string
  readonly asOf: number
  readonly feeds: string
  readonly row: string
}

/** `name`: the row's keyed hash. */
export const rowCacheKey = (name: string): string => `forebay:{row ${name[0]}}:${name}`

const versionText = (version: bigint | string): string => String(version).padStart(20, '0')
const tombstone = 'tombstone'
/** Longer than any read can take from its snapshot to its fill. */
const tombstoneMs = 120_000
/** A row goes when it changes; this is the last line, for what no change ever drops. */
export const rowLastsMs = 60_000

/** KEYS[1]; ARGV: version, value, milliseconds to live. A row of the same version is replaced: it was read later. */
const fenced = redisScript(`if redis.call('getrange', KEYS[1], 0, 19) > ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[2], 'px', ARGV[3])
return 1`)

/** KEYS; ARGV: milliseconds to live, then a version for each. Answers with the places of those that held a row. */
const drop = redisScript(`local held = {}
for i, key in ipairs(KEYS) do
  local old = redis.call('getrange', key, 0, 28)
  local version = ARGV[i + 1]
  if string.sub(old, 1, 20) <= version then
    if old ~= '' and string.sub(old, 21) ~= '${tombstone}' then held[#held + 1] = i end
    redis.call('set', key, version .. '${tombstone}', 'px', ARGV[1])
  end
end
return held`)

/** Keeps a row as it was read. `asOf`: the bound that held for the read, in milliseconds; `ttlMs`: how long it may be served. */
export const fillRow = (redis: RedisCommands, name: string, row: CachedRow, ttlMs: number): Promise<unknown> => {
  const version = versionText(row.version)
  const value = `${version}${String(row.asOf).padStart(15, '0')}${row.feeds}\n${row.row}`
  return fenced(redis, [rowCacheKey(name)], [version, value, Math.ceil(ttlMs)])
}

export type Dropped = { readonly name: string; readonly version: bigint | string }
/** A script call holds Redis up for so many rows at most. */
const mostDropped = 500

/**
 * Drops rows that changed or went, once that is committed and on disk (C31). `version`: a row's new one. Nothing older can
 * come back. Answers with the names of those that Redis held. Rejects as Redis does.
 */
export const invalidateRows = async (redis: RedisCommands, rows: readonly Dropped[]): Promise<ReadonlySet<string>> => {
  const held = new Set<string>()
  const calls = [...Map.groupBy(rows, ({ name }) => name[0]).values()].flatMap((tagged) => {
    const stretches: (readonly Dropped[])[] = []
    for (let at = 0; at < tagged.length; at += mostDropped) stretches.push(tagged.slice(at, at + mostDropped))
    return stretches
  })
  await Promise.all(
    calls.map(async (some) => {
      const keys = some.map(({ name }) => rowCacheKey(name))
      const args = [tombstoneMs, ...some.map(({ version }) => versionText(version))]
      for (const place of (await drop(redis, keys, args)) as number[]) held.add(some[place - 1]!.name)
    }),
  )
  return held
}

/** One answer a name, in order; undefined where there is no row. */
export const readRows = async (
  redis: RedisCommands,
  names: readonly string[],
): Promise<readonly (CachedRow | undefined)[]> => {
  if (names.length === 0) return []
  const values = await Promise.all(names.map((name) => redis.get(rowCacheKey(name))))
  return values.map((value) => {
    if (value === null || value.slice(20) === tombstone) return undefined
    const end = value.indexOf('\n')
    return {
      version: value.slice(0, 20),
      asOf: Number(value.slice(20, 35)),
      feeds: value.slice(35, end),
      row: value.slice(end + 1),
    }
  })
}
