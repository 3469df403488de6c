/**
 * Streaming replicas to read from. Each is looked at as the primary is, so that what it has replayed says how fresh its rows are (C22); a request
 * reads from one whose own snapshot is as fresh as asked, and from the primary where none is. What fails there, or is not heard of any
 * more, is read from the primary instead: that is never behind a replica's snapshot, so what was going to be said stays true.
 */
import { type Breaker, createBreaker } from '../../platform/breaker.ts'
import { log } from '../../platform/log.ts'
import { counter, gauge } from '../../platform/metrics.ts'
import { connect, placeOf, type Sql } from '../../platform/postgres.ts'
import type { Registered } from './registered.ts'
import type { Serving } from './serving.ts'
import type { Replicas } from './stand.ts'
import { type Seen, startWatch, type Watch } from './watch.ts'

/** What reading from a replica needs to know of it. */
export type Replica = {
  readonly place: string
  readonly sql: Sql
  /** How long ago it last answered, milliseconds. */
  silentMs(): number
  /** Told how a statement went there. */
  served(): void
  failed(error: unknown): void
}
export type ReplicasOptions<Reads> = {
  readonly urls: readonly string[]
  /** The primary's own pool for watching. */
  readonly primary: Sql
  readonly pool: { readonly max: number; readonly name: string; readonly statementTimeoutMs: number }
  readonly servingOf: () => (registered: Registered) => Promise<Serving>
  /** Upper bound of the primary's clock. */
  readonly now: () => number
  /** What rows are read with there, while it is this run of it (`Snapshot.server`). */
  readonly reads: (replica: Replica, server: string) => Reads
}

/** A look comes about every 100 ms: one that hasn't for so long is taken for hung. */
export const hungMs = 1_000
const watchStatementMs = 2_000

const reads = counter({
  name: 'forebay_replica_reads_total',
  help: 'Statements sent to a replica, by whether it answered or the primary had to.',
  labels: ['replica', 'result'],
})
const chosen = counter({
  name: 'forebay_replica_requests_total',
  help: 'Requests by where they read: on a replica, or on the primary since no replica was fresh enough.',
  labels: ['from'],
})
const ages = gauge({
  name: 'forebay_replica_silent_seconds',
  help: 'How long ago a replica last said how far it is.',
  labels: ['replica'],
})

type One<Reads> = {
  readonly replica: Replica
  readonly breaker: Breaker
  watch?: Watch
  run?: { readonly server: string; readonly reads: Reads }
}

/** Starts at once, whether they answer or not. */
export const startReplicas = <Reads>(options: ReplicasOptions<Reads>): Replicas<Reads> & { stop(): Promise<void> } => {
  const { urls, primary, pool, servingOf, now } = options
  const pools: Sql[] = []
  let stopped = false
  const begin = (url: string): One<Reads> => {
    const place = placeOf(url)
    const sql = connect(url, pool)
    const own = connect(url, { max: 1, name: 'gateway watch', statementTimeoutMs: watchStatementMs })
    pools.push(sql, own)
    const breaker = createBreaker({ dependency: `replica ${place}`, place })
    let watch: Watch | undefined
    const replica: Replica = {
      place,
      sql,
      silentMs: () => watch?.silentMs() ?? Number.POSITIVE_INFINITY,
      served: () => reads.inc({ replica: place, result: 'served' }),
      failed: (error) => {
        reads.inc({ replica: place, result: 'fallen' })
        breaker.failed(error)
      },
    }
    const one: One<Reads> = { replica, breaker }
    const choose = servingOf()
    const same = sameCluster(primary, own)
    let said = false
    const serving = async (registered: Registered): Promise<Serving> => {
      if (!(await same())) {
        if (!said) log.error('replica.foreign', { replica: place, reason: 'it is no copy of DATABASE_URL’s server' })
        said = true
        throw new Error(`${place} is no replica of the primary`)
      }
      const found = await choose(registered)
      breaker.succeeded()
      ages.set({ replica: place }, 0)
      return found
    }
    const failed = (error: unknown) => breaker.failed(error)
    void startWatch({ sql: own, servingOf: serving, server: `replica ${place}`, now, failed }).then((started) => {
      watch = started
      one.watch = started
      if (stopped) void started.stop()
    })
    return one
  }
  const all = urls.map(begin)
  const telling = setInterval(() => {
    for (const { replica } of all) ages.set({ replica: replica.place }, replica.silentMs() / 1_000)
  }, 1_000).unref()

  let turn = 0
  let catalog: number | undefined
  const usable = ({ replica, breaker, watch }: One<Reads>): Seen | undefined => {
    const seen = breaker.state() === 'CLOSED' && replica.silentMs() < hungMs ? watch?.current() : undefined
    // One that hasn't replayed a switch of tables yet waits for it: whoever retires tables asks after the primary's alone.
    return seen?.serving.catalog === catalog ? seen : undefined
  }
  return {
    choose(from, serves) {
      catalog = from?.serving.catalog ?? catalog
      turn += 1
      for (let i = 0; i < all.length; i++) {
        const one = all[(turn + i) % all.length]!
        const seen = usable(one)
        if (!seen || !one.watch || !serves(seen)) continue
        chosen.inc({ from: 'replica' })
        if (one.run?.server !== seen.server)
          one.run = { server: seen.server, reads: options.reads(one.replica, seen.server) }
        return { watch: one.watch, reads: one.run.reads, seen }
      }
      chosen.inc({ from: 'primary' })
      return undefined
    },
    async stop() {
      stopped = true
      clearInterval(telling)
      await Promise.race([
        Promise.all(all.map(({ watch }) => watch?.stop())),
        new Promise((done) => setTimeout(done, hungMs)),
      ])
      await Promise.all(pools.map((one) => one.end({ timeout: 1 })))
    },
  }
}

/** A server of another cluster has positions of its own, which would be believed. Asked again whenever it could have become another. */
const sameCluster = (primary: Sql, own: Sql): (() => Promise<boolean>) => {
  const idOf = async (sql: Sql): Promise<string> => {
    const [row] = await sql<{ id: string }[]>`select system_identifier::text as id from pg_control_system()`
    return row!.id
  }
  let wanted: string | undefined
  return async () => {
    wanted ??= await idOf(primary)
    return (await idOf(own)) === wanted
  }
}
