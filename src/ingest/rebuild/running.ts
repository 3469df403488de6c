/**
 * Which definitions the running ingest processes declare. Each process holds a shared advisory lock for each of its own, from before it
 * registers them, on the connection by which it builds: it vanishes with the process, however that ends.
 *
 * Of the definitions that running processes declare, the one that was registered last serves. So a process of an older folder that starts
 * again amid a deploy, or is left over after it, takes nothing back; and once nobody declares the newer one any more, it does.
 */
import type { Sql } from '../../platform/postgres.ts'
import type { Tx } from '../apply/fence.ts'
import { locks } from '../locks.ts'

/** Hashes are hexadecimal; as many of their digits as an advisory lock's second key has room for. */
const lockOf = (hash: string): number => Number.parseInt(hash.slice(0, 7), 16)

/** `sql`: a pool of one connection. Once more does no harm, and is needed after a connection was lost. */
export const declareRunning = async (sql: Sql, hashes: Iterable<string>): Promise<void> => {
  const keys = [...new Set([...hashes].map(lockOf))]
  await sql`
    select pg_advisory_lock_shared(${locks.declared}, k) from unnest(${keys}::int[]) k
    where not exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() and classid = ${locks.declared}
      and objid = k and objsubid = 2)`
}

export type Running = (declared: string) => boolean
export const runningDefinitions = async (sql: Sql | Tx): Promise<Running> => {
  const rows = await sql<{ key: number }[]>`
    select distinct objid::int as key from pg_locks where locktype = 'advisory' and classid = ${locks.declared} and objsubid = 2 and granted
      and database = (select oid from pg_database where datname = current_database())`
  const keys = new Set(rows.map(({ key }) => key))
  return (declared) => keys.has(lockOf(declared))
}

type Kept = { readonly view: string; readonly declared: string; readonly state: string; readonly rolledBack: boolean }

/**
 * Whether registering this folder (hash → view) again would give it something: what serves is declared by no running process, and this
 * folder's own stands by, was given up for it, or doesn't know the view. What an operator went back from stays.
 */
export const mayTakeOver = async (sql: Sql, folder: ReadonlyMap<string, string>): Promise<boolean> => {
  const running = await runningDefinitions(sql)
  const kept = await sql<Kept[]>`
    select view, coalesce(declared, hash) as declared, state, rolled_back as "rolledBack" from forebay.generations order by generation`
  const hashes = new Map([...folder].map(([hash, view]) => [view, hash]))
  return kept
    .filter(({ state, declared }) => state === 'ACTIVE' && !running(declared) && !folder.has(declared))
    .some(({ view }) => {
      const own = kept.findLast((one) => one.declared === hashes.get(view))
      if (own === undefined) return true
      return (own.state === 'STANDBY' || own.state === 'RETIRED') && !own.rolledBack
    })
}
