/** Postgres through postgres.js, with the same types and the same manners everywhere. */
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { arrayTypes } from './array-types.ts'

export type Sql = postgres.Sql
export type TransactionSql = postgres.TransactionSql
export type ConnectOptions = {
  /** Connections at most. */
  readonly max: number
  /** Shown in pg_stat_activity as `forebay <name>`. */
  readonly name: string
  /**
   * A statement that takes longer is cancelled; absent: none is. Where not even that is heard of, as on a network that swallows what is
   * sent, the connection is given up 5 s later: CONNECTION_CLOSED.
   */
  readonly statementTimeoutMs?: number
  /** Session settings (`search_path`, `synchronous_commit`, …) of every connection. */
  readonly settings?: Readonly<Record<string, string>>
  /** Called with what a NOTIFY carries, for who listens. */
  readonly notified?: (payload: string) => void
  /** Called when a connection is gone. */
  readonly closed?: () => void
}

const leastVersion = 180_000
const graceMs = 5_000
const timeTypes = { date: 1082, timestamp: 1114, timestamptz: 1184 }

/**
 * A pool. Connects at the first statement, not before; use `untilReachable` to wait for the server and to judge it.
 * Sessions run in UTC. bigint, numeric, date and timestamps arrive as Postgres writes them, since a number or a Date would lose
 * digits. A parameter that is `undefined` is refused. Connections live until `end()`: session locks depend on it.
 */
export const connect = (url: string, options: ConnectOptions): Sql => {
  const { statementTimeoutMs } = options
  const pool = postgres(url, {
    max: options.max,
    max_lifetime: null,
    connect_timeout: 10,
    // Seconds: of the patch, so unknown to its types.
    ...(statementTimeoutMs === undefined ? {} : { silence_timeout: (statementTimeoutMs + graceMs) / 1_000 }),
    // Seconds; by default it grows to 20, for which a server that is back would go unnoticed.
    backoff: (tries: number) => Math.min(0.02 * 2 ** tries, 0.5),
    onnotice: () => {},
    ...(options.notified ? { onnotify: (_: string, payload: string) => options.notified?.(payload) } : {}),
    ...(options.closed ? { onclose: options.closed } : {}),
    fetch_types: false,
    types: {
      ...arrayTypes,
      date: {
        to: timeTypes.timestamptz,
        from: Object.values(timeTypes),
        serialize: (value: unknown) => (value instanceof Date ? value.toISOString() : String(value)),
        parse: (text: string) => text,
      },
    },
    connection: {
      application_name: `forebay ${options.name}`,
      TimeZone: 'UTC',
      DateStyle: 'ISO',
      ...(statementTimeoutMs === undefined ? {} : { statement_timeout: statementTimeoutMs }),
      ...options.settings,
    },
  })
  // The one widened type differs from the default only in what dates parse to, which no static type speaks of.
  return pool as unknown as Sql
}

/** `host:port/database`: what may be shown of a connection string of Postgres or Redis. */
export const placeOf = (url: string): string => {
  try {
    const { protocol, hostname, port, pathname } = new URL(url)
    return `${hostname || 'localhost'}:${port || (protocol.startsWith('postgres') ? 5432 : 6379)}${pathname === '/' ? '' : pathname}`
  } catch {
    return 'an address that is no URL'
  }
}

/**
 * Waits until the server answers, at most `patienceMs` (10 s), then checks that it is Postgres 18 or later and holds UTF8. `waiting` is
 * called once where it doesn't answer at once. Throws with a message for the operator, never with the password in it.
 */
export const untilReachable = async (
  sql: Sql,
  url: string,
  patienceMs = 10_000,
  waiting: (reason: string) => void = () => {},
): Promise<void> => {
  let said = false
  const deadline = Date.now() + patienceMs
  const server = async () => {
    const [row] = await sql<{ number: number; version: string; encoding: string }[]>`
      select current_setting('server_version_num')::int as number, current_setting('server_version') as version,
             current_setting('server_encoding') as encoding`
    return row!
  }
  for (;;) {
    try {
      const { number, version, encoding } = await server()
      if (number < leastVersion) {
        throw new UnfitServer(
          `Postgres at ${placeOf(url)} is version ${version}; Forebay needs 18 or later. Upgrade it or set another DATABASE_URL.`,
        )
      }
      if (encoding !== 'UTF8') {
        throw new UnfitServer(
          `The database at ${placeOf(url)} has encoding ${encoding}; Forebay needs UTF8. Make one with: create database … encoding 'UTF8' template template0`,
        )
      }
      return
    } catch (error) {
      if (error instanceof UnfitServer) throw error
      if (isRetriable(error) && Date.now() < deadline) {
        if (!said) waiting(reasonOf(error))
        said = true
        await sleep(250)
        continue
      }
      throw new Error(
        `Postgres at ${placeOf(url)} can't be reached: ${reasonOf(error)}; set DATABASE_URL or leave it empty for the embedded one`,
        { cause: error },
      )
    }
  }
}
class UnfitServer extends Error {}

const reasonOf = (error: unknown): string => {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(', ')
  if (error instanceof Error) return error.message || codeOf(error) || error.name
  return String(error)
}

/** A SQLSTATE, or the code of Node or postgres.js where the failure was not the server's; '' without one. */
export const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : ''

const retriable = new Set([
  '40001',
  '40P01', // serialization failure, deadlock
  '55P03', // lock not available
  '57P01',
  '57P02',
  '57P03', // shut down by an operator, crashed, not yet ready
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT', // postgres.js
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
])
/**
 * True when the same transaction, tried again, may succeed: conflicts, a server that is away or going (class 08 too), or one that
 * lacks something for now (class 53: disk, memory, connections).
 */
export const isRetriable = (error: unknown): boolean => {
  const code = codeOf(error)
  return retriable.has(code) || /^(08|53)[0-9A-Z]{3}$/.test(code)
}

const dataClasses = new Set(['21', '22', '23', '54', '0A', '42'])
/**
 * True when the data or the statement is at fault and trying again can't help: cardinality (21), data exception (22), constraint (23), limit (54),
 * unsupported (0A), a statement that does not fit the tables (42).
 */
export const isDataError = (error: unknown): boolean => {
  const code = codeOf(error)
  return /^[0-9A-Z]{5}$/.test(code) && dataClasses.has(code.slice(0, 2))
}
