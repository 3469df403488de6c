/**
 * `forebay replay --entity … --snapshot`: has the source read an entity's table anew while it streams. For what the log doesn't hold:
 * columns that were added with a default or rewritten at the source (it sends nothing for the rows that were there), records that are
 * gone. What comes wins by its place in the log over what was there (C12).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { beginAnew, readAgain } from '../../ingest/feed/again.ts'
import { journalExtents } from '../../ingest/source/journal.ts'
import type { Extent } from '../../ingest/source.ts'
import { type Entity, isDebezium, type Model, type TableSource } from '../../model/model.ts'
import type { Sql } from '../../platform/postgres.ts'
import { type Input, print, UsageError } from '../verb.ts'
import { span } from './progress.ts'
import { type Renewal, readRenewal } from './renewal.ts'
import { byHand, type Captured, findCaptured, openLog, signalByTable, signalByTopic } from './signal.ts'

const followMs = 1_000
/** Without a row renewed for so long, the snapshot is over or never began. */
const quietMs = 60_000

export const runSnapshot = async (input: Input, sql: Sql, model: Model, entity: Entity): Promise<number> => {
  const { topic, format, table } = entity.source
  if (table) {
    const marks = await journalExtents(sql, [topic])
    const said = await askFeed(sql, model, topic, table)
    if (!input.flag('json')) print(said)
    return input.flag('detach') ? 0 : follow(input, sql, entity, marks, feedIsSilent(topic))
  }
  if (!isDebezium(format))
    throw new UsageError(
      `--snapshot: ${entity.name} reads ${format} from ${topic}, whose producer can't be asked for a snapshot: have it send its rows again`,
    )
  const source = openLog(input.config, sql, topic)
  let marks: readonly Extent[]
  let sent: string | undefined
  try {
    const captured = (await given(input)) ?? (await findCaptured(source, topic))
    marks = await source.extents()
    sent = await signal(input, captured)
    if (sent === undefined) {
      const lines = byHand(captured)
      print(input.flag('json') ? JSON.stringify({ byHand: lines }) : lines.join('\n'))
    }
  } finally {
    await source.stop()
  }
  if (sent !== undefined && !input.flag('json')) print(sent)
  if (input.flag('detach')) return 0
  return follow(input, sql, entity, marks, sent === undefined ? undefined : connectorIsSilent)
}

/** What is under way by now. Throws where nothing can be. */
const askFeed = async (sql: Sql, model: Model, topic: string, table: TableSource): Promise<string> => {
  const { connection, poll } = table
  const name = `${table.schema}.${table.name}`
  const followed = [...model.entities.values()].filter(
    ({ source }) => source.table?.connection === connection && !source.table.poll,
  )
  const topics = [...new Set(followed.map(({ source }) => source.topic))]
  // First: of two who ask at once for a stuck one, the other then finds it running.
  if (!poll && (await beginAnew(sql, connection, topics)))
    return `The feed of ${connection} was stuck. It goes on with a new slot and reads anew what it follows: ${topics.join(', ')}.`
  if (await readAgain(sql, { topic, connection, polled: poll !== undefined }))
    return `Asked the feed of ${connection} to read ${name} anew.`
  throw new Error(`${name} can't be read anew: its feed has not begun yet. Does ingest run?`)
}

const given = (input: Input): Captured | undefined => {
  const [prefix, collection] = [input.text('prefix'), input.text('table')]
  if (prefix !== undefined && collection !== undefined) return { prefix, collection }
  if (prefix !== undefined || collection !== undefined) throw new UsageError('give --prefix and --table together')
  return undefined
}

/** What was done; undefined: nothing could be. */
const signal = async (input: Input, captured: Captured): Promise<string | undefined> => {
  const [topic, table, connection] = [input.text('signal-topic'), input.text('signal-table'), input.text('connection')]
  if (topic !== undefined) {
    await signalByTopic(input.config, topic, captured)
    return `Asked Debezium for an incremental snapshot of ${captured.collection} through ${topic}.`
  }
  if (table === undefined) return undefined
  if (connection === undefined) throw new UsageError('--signal-table needs --connection: whose database it is in')
  const url = input.config.connections?.[connection]
  if (url === undefined) throw new UsageError(`--connection ${connection}: its FOREBAY_CONNECTION_ variable is not set`)
  await signalByTable(url, table, captured)
  return `Asked Debezium for an incremental snapshot of ${captured.collection} through ${table}.`
}

const connectorIsSilent =
  'does the connector read signals (signal.enabled.channels, and signal.data.collection for its watermarks), and does ingest run?'
const feedIsSilent = (topic: string): string =>
  `does ingest run, and what does forebay { sources } say of ${topic}? What was asked for stands`

/** Until every row is renewed, or nothing comes any more. `silent`: what to see to where nothing ever came. */
const follow = async (
  input: Input,
  sql: Sql,
  entity: Entity,
  marks: readonly Extent[],
  silent: string | undefined,
): Promise<number> => {
  const seenEnough = new AbortController()
  const stop = (): void => seenEnough.abort()
  process.once('SIGINT', stop)
  try {
    const began = performance.now()
    let last: { readonly at: number; readonly left: number } | undefined
    let first: number | undefined
    for (let said = ''; ; ) {
      const before = performance.now()
      const renewal = await readRenewal(sql, entity, marks)
      const now = performance.now()
      first ??= renewal.left
      if (last === undefined || renewal.left !== last.left) last = { at: now, left: renewal.left }
      const quiet = now - last.at > quietMs
      const line = progress(renewal, first, now - began)
      if (input.flag('json')) print(JSON.stringify({ entity: entity.name, ...renewal }))
      else if (line !== said) print(line)
      said = line
      if (renewal.left === 0 && renewal.applied) return 0
      if (quiet && renewal.applied && renewal.left < first) return unfinished(entity, renewal)
      if (quiet && silent !== undefined && renewal.left === first)
        throw new Error(`no row of ${entity.name} has been renewed for ${quietMs / 1_000} s: ${silent}`)
      await sleep(Math.max(followMs, 10 * (now - before)), undefined, { signal: seenEnough.signal }).catch(() => {})
      if (seenEnough.signal.aborted) return 0
    }
  } finally {
    process.off('SIGINT', stop)
  }
}

const progress = ({ rows, left }: Renewal, first: number, ms: number): string => {
  const done = first - left
  const rate = done / (ms / 1_000)
  const eta = rate > 0 && left > 0 ? `  ETA ${span(left / rate)}` : ''
  return `${rows === 0 ? 100 : Math.floor((100 * (rows - left)) / rows)}% of ${rows.toLocaleString('en')} rows renewed${eta}`
}

const unfinished = (entity: Entity, { left }: Renewal): number => {
  process.stderr.write(
    `${left} rows of ${entity.name} stand on older records still, and nothing comes any more: they may be gone at the source, or no snapshot was taken.\n`,
  )
  return 1
}
