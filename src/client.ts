/**
 * forebay/client: types of what Forebay says beside the data, and what a client says of freshness. This file needs nothing else and runs
 * anywhere. For generated types see `forebay sdl --typed`, whose scalars are `Masked` and `Tokenized` of here.
 */

declare const form: unique symbol
/** A value as it is shown to who may not see it clear: it goes on a screen, and into nothing else. */
export type Masked = string & { readonly [form]: 'masked' }
/** What stands for a value: equal values of a tenant have equal tokens. */
export type Tokenized = string & { readonly [form]: 'tokenized' }

export type FreshnessState = 'FRESH' | 'LAGGING' | 'STALE' | 'DEGRADED' | 'UNKNOWN'
/** Of one view, or of an answer as a whole. `asOf`: every change that was in the log before is in the answer; null: not known. */
export type ViewFreshness = {
  readonly asOf: string | null
  readonly lagMs: number | null
  readonly maxLagMs: number | null
  readonly state: FreshnessState
  readonly basis: 'LOG' | 'SOURCE'
}
export type Freshness = ViewFreshness & {
  readonly views: Readonly<Record<string, ViewFreshness>>
  /** Send it as `after`, and the next answer is no older. */
  readonly position: string
  /** False: it is older than asked, and was to be served. */
  readonly met?: boolean
}

/** What went wrong, in `extensions.code` of each error. */
export type ErrorCode =
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'BAD_USER_INPUT'
  | 'STALE'
  | 'TOO_COSTLY'
  | 'RATE_LIMITED'
  | 'UNAVAILABLE'
  | 'VIEW_REBUILDING'
  | 'PERSISTED_QUERY_NOT_FOUND'
  | 'INTERNAL'

/** Any client's result: Apollo Client's, urql's, Relay's payload, or the JSON itself. */
type Answered = { readonly extensions?: Readonly<Record<string, unknown>> | undefined }

/** How fresh an answer is; undefined where it has no rows. */
export const freshnessOf = ({ extensions }: Answered): Freshness | undefined =>
  extensions?.freshness as Freshness | undefined

/** `maxStaleness` and `wait`: durations such as `5s`, `500ms` or `PT5S`. `after`: positions, of answers or of `forebay/position`. */
export type Ask = {
  readonly maxStaleness?: string
  readonly after?: string | readonly string[]
  readonly consistency?: 'eventual' | 'strong'
  readonly onStale?: 'serve' | 'wait' | 'fail'
  readonly wait?: string
}

/** The headers that ask for it. */
export const asking = ({ maxStaleness, after, consistency, onStale, wait }: Ask): Record<string, string> => {
  const headers: Record<string, string | undefined> = {
    'Forebay-Max-Staleness': maxStaleness,
    'Forebay-After': typeof after === 'string' || after === undefined ? after : after.join(','),
    'Forebay-Consistency': consistency,
    'Forebay-On-Stale': onStale,
    'Forebay-Wait': wait,
  }
  return Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== ''),
  )
}
