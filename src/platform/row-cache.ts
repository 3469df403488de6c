/**
 * Rows in Redis, shared by who changes them and who reads them. A value is
 *
 *   version (20 digits) asOf (15 digits, milliseconds) row        or        version (20 digits) "tombstone"
 *
 * so that versions compare as text. One law: *a write only ever replaces an older version*, judged inside Redis. A reader that
 * fetched a row before it changed can't put it back after: the change left its version there (C30). Rows are as stored, before
 * any policy.
 */
import type { Redis } from 'ioredis'

/** `hash`: the view's definition. `tenant` is null where the view has none. */
export type RowScope = { readonly hash: string; readonly tenant: string | null }
export type RowKey = readonly (string | null)[]
export type CachedRow = { readonly version: string; readonly asOf: number; readonly row: string }

export const rowCacheKey = ({ hash, tenant }: RowScope, key: RowKey): string =>
  `forebay:row:${hash}:${JSON.stringify([tenant, ...key])}`

const versionText = (version: bigint | string): string => String(version).padStart(20, '0')
const tombstone = 'tombstone'
/** Longer than any read can take from its snapshot to its fill. */
const tombstoneMs = 120_000

/** KEYS[1]; ARGV: version, value, milliseconds to live. A row of the same version is replaced: it was read later. */
const fenced = `local old = redis.call('get', KEYS[1])
if old and string.sub(old, 1, 20) > ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[2], 'px', ARGV[3])
return 1`

const write = (redis: Redis, key: string, version: string, value: string, ttlMs: number): Promise<unknown> =>
  redis.eval(fenced, 1, key, version, value, ttlMs)

/** Keeps a row as it was read. `asOf`: the bound that held for the read, in milliseconds; `ttlMs`: how long it may be served. */
export const fillRow = (
  redis: Redis,
  scope: RowScope,
  key: RowKey,
  row: CachedRow,
  ttlMs: number,
): Promise<unknown> => {
  const version = versionText(row.version)
  const asOf = String(row.asOf).padStart(15, '0')
  return write(redis, rowCacheKey(scope, key), version, version + asOf + row.row, Math.ceil(ttlMs))
}

/**
 * Drops a row that changed or went, once that is committed and on disk (C31). `version`: the row's new one. Nothing older can
 * come back. Rejects as Redis does; a row that could not be dropped is out of date until its time to live ends.
 */
export const invalidateRow = (redis: Redis, scope: RowScope, key: RowKey, version: bigint | string): Promise<unknown> =>
  write(redis, rowCacheKey(scope, key), versionText(version), versionText(version) + tombstone, tombstoneMs)

/** One answer a key, in order; undefined where there is no row. */
export const readRows = async (
  redis: Redis,
  scope: RowScope,
  keys: readonly RowKey[],
): Promise<readonly (CachedRow | undefined)[]> => {
  if (keys.length === 0) return []
  const values = await Promise.all(keys.map((key) => redis.get(rowCacheKey(scope, key))))
  return values.map((value) => {
    if (value === null || value.slice(20) === tombstone) return undefined
    return { version: value.slice(0, 20), asOf: Number(value.slice(20, 35)), row: value.slice(35) }
  })
}
