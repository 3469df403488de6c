/**
 * What is known of how far Debezium has got its sources' commits into the log (C23). A source is asked where its own log stands; once its
 * connector has committed an offset past that, everything that was committed before the asking is in its topics. Their ends, asked for after
 * that, hold it all.
 *
 * An offset counts only when it is written after the asking: one from before that lies beyond what the source answers is of another history
 * than the source's, which was restored since.
 */
import type { DatabaseClock } from '../../platform/clock.ts'
import { describeError } from '../../platform/log.ts'
import { connect, type Sql } from '../../platform/postgres.ts'
import type { SourceMoment, SourceMoments } from '../source/observe.ts'
import { type Steady, steadily } from '../steadily.ts'
import type { Ends, Offsets, Written } from './offsets.ts'

/** `server`: the topic.prefix of its connector. `url`: of the Postgres that it reads. */
export type Connector = { readonly server: string; readonly url: string; readonly topics: readonly string[] }
/** `at`: before the asking, milliseconds by the primary's clock. `before`: where the offsets ended then. */
type Asking = { readonly at: number; readonly before: Ends; readonly lsn: bigint }

type Clock = Pick<DatabaseClock, 'lower' | 'upper' | 'refresh'>
export type Connectors = { readonly moments: SourceMoments; stop(): Promise<void> }

/** `everyMs`: how often sources are asked. `lateMs`: of a moment that is older it is said why. */
type Pace = { readonly everyMs: number; readonly lateMs: number }
const usualPace: Pace = { everyMs: 500, lateMs: 5_000 }
const mostWaiting = 64
const patienceMs = 5_000

export const watchConnectors = (
  connectors: readonly Connector[],
  offsets: Offsets,
  clock: Clock,
  pace = usualPace,
): Connectors => {
  const watched = connectors.map((connector) => watchOne(connector, offsets, clock, pace))
  return {
    moments: () => new Map(watched.flatMap(({ moments }) => moments())),
    async stop() {
      await Promise.all(watched.map((one) => one.stop()))
      await offsets.stop()
    },
  }
}

const watchOne = ({ server, url, topics }: Connector, offsets: Offsets, clock: Clock, { everyMs, lateMs }: Pace) => {
  const source = connect(url, { max: 1, name: `source ${server}`, statementTimeoutMs: patienceMs })
  const waiting: Asking[] = []
  let moment: { readonly at: number; readonly lsn: bigint } | null = null
  let published: ReadonlySet<string> | undefined
  let unanswered: string | undefined

  const ask = async (): Promise<void> => {
    try {
      await clock.refresh()
      const before = await offsets.ends()
      const at = clock.lower()
      const found = await askSource(source, server)
      published = found.topics
      unanswered = undefined
      waiting.push({ at, before, lsn: found.lsn })
      // The oldest is passed first; of the others the later ones say more.
      if (waiting.length > mostWaiting) waiting.splice(1, 1)
    } catch (error) {
      unanswered = `the source of ${server} can't be asked how far it is: ${describeError(error).message}`
      throw error
    }
  }
  const judge = (): void => {
    const written = offsets.of(server)
    while (waiting[0] && offsets.hasRead(waiting[0].before) && hasPassed(written, waiting[0])) moment = waiting.shift()!
  }
  const whyLate = (): string =>
    unanswered ?? offsets.trouble() ?? whyNot(server, offsets.topic, offsets.of(server), waiting[0])

  const loop: Steady = steadily(`source-${server}`, everyMs, ask)
  return {
    moments(): readonly (readonly [string, SourceMoment])[] {
      judge()
      const late = moment === null || clock.upper() - moment.at > lateMs ? whyLate() : null
      return topics.map((topic) =>
        published === undefined || published.has(topic)
          ? [topic, { at: moment?.at ?? null, trouble: late, ...(moment && { lsn: moment.lsn }) }]
          : [
              topic,
              { at: null, trouble: `no publication of its source has the table of ${topic}: nobody sends its changes` },
            ],
      )
    },
    async stop() {
      await Promise.all([loop.stop(), source.end({ timeout: 1 })])
    },
  }
}

/** Where its log stands: past every commit. And the topics of the tables that it publishes, as Debezium names them. */
const askSource = async (
  source: Sql,
  server: string,
): Promise<{ readonly lsn: bigint; readonly topics: ReadonlySet<string> }> => {
  const [row] = await source<{ lsn: string; tables: string[] }[]>`
    select (pg_current_wal_insert_lsn() - '0/0')::text as lsn,
      array(select distinct schemaname || '.' || tablename from pg_publication_tables) as tables`
  return {
    lsn: BigInt(row!.lsn),
    topics: new Set(row!.tables.map((table) => `${server}.${table.replace(/[^\w.-]/g, '_')}`)),
  }
}

const hasPassed = (written: readonly Written[], { lsn, before }: Asking): boolean =>
  written.length > 0 &&
  written.every((one) => {
    const isLater = one.at.offset >= (before.get(one.at.partition) ?? 0n)
    return one.lsn !== null && !one.snapshot && (isLater ? one.lsn >= lsn : one.lsn === lsn)
  })

const whyNot = (server: string, topic: string, written: readonly Written[], asking: Asking | undefined): string => {
  const [first] = written
  if (first === undefined)
    return `no connector of topic.prefix ${server} has committed an offset in ${topic}: it is not there yet, or its Kafka Connect keeps offsets elsewhere`
  const [without, reading, ahead] = [
    written.find(({ lsn }) => lsn === null),
    written.find(({ snapshot }) => snapshot),
    written.find(
      ({ lsn, at }) =>
        lsn !== null && asking && at.offset < (asking.before.get(at.partition) ?? 0n) && lsn > asking.lsn,
    ),
  ]
  if (reading) return `the connector ${reading.connector} has not finished its first snapshot`
  if (without) return `the connector ${without.connector} commits no lsn: only Debezium's of Postgres does`
  if (ahead)
    return `the source is behind what its connector ${ahead.connector} has read: it was restored or is another server; take a new snapshot`
  const names = written.map(({ connector }) => connector).join(', ')
  return `the connector ${names} has committed no offset past what its source had: it is down, or behind, or seldom writes offsets (offset.flush.interval.ms), or its source is idle and it has no heartbeat.action.query`
}
