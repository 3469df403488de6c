/** Runs feeds: one process a feed, from its cursor, again after every failure. The contract is that of feed.ts. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { DatabaseClock } from '../../platform/clock.ts'
import { log } from '../../platform/log.ts'
import { gauge } from '../../platform/metrics.ts'
import { connect, type Sql } from '../../platform/postgres.ts'
import { present } from '../../platform/present.ts'
import { type Feed, Stuck } from '../feed.ts'
import { journalRoom, type Room, type RoomLimits } from '../journal-room.ts'
import { locks } from '../locks.ts'
import { frozenOwner } from '../session-settings.ts'
import { createTopics, journalExtents } from '../source/journal.ts'
import { type Partition, partitionName, type Seen } from '../source.ts'
import { openJournal } from './open-journal.ts'
import { createSettled } from './settled.ts'

export type Feeds = {
  readonly topics: ReadonlySet<string>
  /** What is known of a partition that this process feeds: when its source was asked last, and an end that holds all it had then. */
  seen(partition: Partition): Seen | undefined
  /** What keeps a feed from running, for operators; undefined: nothing that this process knows of. */
  status(): string | undefined
  stop(): Promise<void>
}

/** How often a source is asked how far it is. */
const askMs = 200
/** How often a process that doesn't run a feed asks whether it may. */
const standbyMs = 500
/** How often one that does asks whether it still may. */
const beatMs = 2_000

const runningGauge = gauge({ name: 'forebay_feed_running', help: '1 where this process runs it.', labels: ['feed'] })

type State = { readonly feed: Feed; seen: ReadonlyMap<string, Seen>; trouble?: string | undefined }
export type FeedsOptions = {
  /** Each feed opens a connection of its own, straight to the primary: its lock belongs to that. */
  readonly databaseUrl: string
  readonly sql: Sql
  readonly clock: DatabaseClock
  readonly feeds: readonly Feed[]
  /** How far ahead of what is applied they may bring their topics. */
  readonly room: RoomLimits
  /** Who reads a topic. */
  readonly entitiesOf: (topic: string) => readonly string[]
}

export const startFeeds = (options: FeedsOptions): Feeds => {
  const stop = new AbortController()
  const states = options.feeds.map((feed): State => ({ feed, seen: new Map() }))
  const room = journalRoom(options.sql, options.room)
  const running = states.map((state) => keepRunning({ ...options, room }, state, stop.signal))
  return {
    topics: new Set(options.feeds.flatMap(({ topics }) => topics)),
    seen: (partition) => states.map(({ seen }) => seen.get(partitionName(partition))).find(Boolean),
    status: () => states.find(({ trouble }) => trouble !== undefined)?.trouble,
    async stop() {
      stop.abort()
      await Promise.all(running)
    },
  }
}

/** The order makes it true: the clock, then the source, then the journal's ends. */
const askAround = async ({ sql, clock, entitiesOf }: RunOptions, state: State, stop: AbortSignal): Promise<void> => {
  const { feed } = state
  const settled = createSettled(sql, entitiesOf)
  while (!stop.aborted) {
    try {
      await clock.refresh()
      const at = clock.lower()
      const { topics, lsn } = await feed.bound()
      if (stop.aborted) return
      const ends = await journalExtents(sql, await settled(topics))
      const { basis } = feed
      state.seen = new Map(
        ends.map((extent) => [partitionName(extent), { at, end: extent.end, basis, ...present({ lsn }) }]),
      )
    } catch (error) {
      log.debug('source.silent', { feed: feed.name, error })
    }
    await sleep(askMs, undefined, { signal: stop }).catch(() => {})
  }
}

type RunOptions = Omit<FeedsOptions, 'room'> & { readonly room: Room }

const keepRunning = async (options: RunOptions, state: State, stop: AbortSignal): Promise<void> => {
  const { feed } = state
  const open = () => connect(options.databaseUrl, { max: 1, name: `feed ${feed.name}`, settings: frozenOwner })
  let sql = open()
  for (let failures = 0; !stop.aborted; ) {
    let pauseMs = standbyMs
    let over = true
    try {
      over = await runOnce(options, sql, state, stop)
      if (over) failures = 0
    } catch (error) {
      if (!stop.aborted) {
        failures += 1
        pauseMs = Math.min(100 * 2 ** failures, 5_000) * (0.5 + Math.random() / 2)
        state.trouble = `feed ${feed.name}: ${error instanceof Error ? error.message : String(error)}`
        if (!(error instanceof Stuck)) log.warn('feed.failed', { feed: feed.name, error })
      }
    }
    if (over) {
      state.seen = new Map()
      runningGauge.set({ feed: feed.name }, 0)
      // With its session the lock goes, so that whoever is better off may have it.
      await sql.end({ timeout: 1 }).catch(() => {})
      sql = open()
    }
    await sleep(pauseMs, undefined, { signal: stop }).catch(() => {})
  }
  await sql.end({ timeout: 1 }).catch(() => {})
}

/** False where another process runs it, or an operator has to act first. */
const runOnce = async (options: RunOptions, sql: Sql, state: State, stop: AbortSignal): Promise<boolean> => {
  const { feed } = state
  const { room } = options
  if (!(await isMine(sql, feed))) {
    state.trouble = undefined
    return false
  }
  await createTopics(sql, feed.topics)
  await sql`insert into forebay.cursors (feed) values (${feed.name}) on conflict do nothing`
  // Whoever ran it before and doesn't know that it is over can't append from here on.
  const [row] = await sql<{ version: string; cursor: unknown }[]>`
    update forebay.cursors set version = version + 1 where feed = ${feed.name} and state = 'RUNNING' returning version, cursor`
  if (row === undefined) {
    state.trouble = await stopTopics(sql, feed)
    return false
  }
  state.trouble = undefined
  runningGauge.set({ feed: feed.name }, 1)
  log.info('feed.running', { feed: feed.name })
  const over = new AbortController()
  const until = AbortSignal.any([stop, over.signal])
  // Not waited for: a source that hangs would hold up the next try.
  void askAround(options, state, until)
  void keepMine(sql, feed, until).catch((error: unknown) => {
    log.warn('feed.lost', { feed: feed.name, error })
    over.abort()
  })
  const { journal, version } = openJournal({ sql, feed, from: row, room, stop: until })
  try {
    await feed.run(journal)
  } catch (error) {
    if (error instanceof Stuck) await storeStuck(sql, feed, version(), error.message)
    throw error
  } finally {
    over.abort()
  }
  return true
}

const isMine = async (sql: Sql, { name }: Feed): Promise<boolean> => {
  const [lock] = await sql<{ mine: boolean }[]>`
    select pg_try_advisory_lock(${locks.feed}, hashtext(${name})) as mine`
  return lock!.mine
}

/**
 * The lock dies with its session, which the server ends where its process stands still (`frozenOwner`). One that is well never rests
 * for so long, since it asks for its lock all along. Rejects when it is another's.
 */
const keepMine = async (sql: Sql, feed: Feed, until: AbortSignal): Promise<void> => {
  for (;;) {
    await sleep(beatMs, undefined, { signal: until }).catch(() => {})
    if (until.aborted) return
    if (!(await isMine(sql, feed)) && !until.aborted) throw new Error('another process has taken it over')
  }
}

/** Unless an operator, or another process, has acted meanwhile. */
const storeStuck = async (sql: Sql, feed: Feed, version: string, reason: string): Promise<void> => {
  log.error('feed.stuck', { feed: feed.name, reason })
  await sql`
    update forebay.cursors set state = 'STUCK', reason = ${reason} where feed = ${feed.name} and version = ${version}`.catch(
    () => {},
  )
}

/** Stops the partitions of a feed that is stuck, unless an operator lets it go on just now. Answers with what there is to say. */
const stopTopics = async (sql: Sql, feed: Feed): Promise<string | undefined> => {
  const [stuck] = await sql<{ reason: string }[]>`
    with stuck as (select reason from forebay.cursors where feed = ${feed.name} and state = 'STUCK' for share),
    stopped as (
      update forebay.positions p set state = 'STUCK', reason = s.reason, stopped_at = clock_timestamp()
      from stuck s where p.topic = any (${[...feed.topics]}) and p.state = 'RUNNING')
    select reason from stuck`
  return stuck && `feed ${feed.name}: ${stuck.reason}`
}
