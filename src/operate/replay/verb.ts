/** `forebay replay --entity …`: asks for a replay and follows it; `--list`, `--status`, `--cancel`. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type From, fromText, parseFrom } from '../../ingest/replay/from.ts'
import { formatFault, loadSchema } from '../../model/load.ts'
import type { Entity, Model } from '../../model/model.ts'
import { readDuration } from '../../model/read/literal.ts'
import type { Sql } from '../../platform/postgres.ts'
import { withDatabase } from '../database.ts'
import { type Input, print, UsageError, usage, whole } from '../verb.ts'
import { cancelReplay, type Replay, readReplays, requestReplay } from './jobs.ts'
import { progressLine, secondsLeft } from './progress.ts'
import { runSnapshot } from './snapshot.ts'

const followMs = 1_000

export const runReplayJobs = (input: Input): Promise<number> => {
  const [status, cancel] = [whole(input, 'status'), whole(input, 'cancel')]
  return withDatabase(input.config, 'replay', async (sql) => {
    if (input.flag('list')) return list(input, await readReplays(sql))
    if (status !== undefined) return show(input, await one(sql, status))
    if (cancel !== undefined) {
      const cancelled = await cancelReplay(sql, cancel)
      const replay = await one(sql, cancel)
      if (!cancelled) throw new Error(`Replay ${cancel} is not running: it is ${replay.state}.`)
      return show(input, replay)
    }
    return begin(input, sql)
  })
}

const begin = async (input: Input, sql: Sql): Promise<number> => {
  const { model, entity } = await entityOf(input)
  const { topic } = entity.source
  if (input.flag('snapshot')) {
    if (input.texts('from').length > 0) throw new UsageError('--snapshot reads the source, --from the log: write one')
    return runSnapshot(input, sql, model, entity)
  }
  const texts = input.texts('from')
  if (texts.length === 0)
    throw new UsageError(
      'write --from WHERE, to read the log again, or --snapshot, to have the source read its table again',
    )
  const from = usage(() => parseFrom(texts, { now: Date.now(), ago: readDuration }))
  if (from.kind === 'time' && from.at > Date.now())
    throw new UsageError(`--from ${texts[0]} is yet to come: there is nothing to replay`)
  refuseOthers(from, topic)
  const id = await requestReplay(sql, entity.name, topic, fromText(from))
  if (input.flag('detach')) {
    if (input.flag('json')) print(JSON.stringify({ id }))
    else print(`Replay ${id} of ${entity.name} from ${fromText(from)}. See it with: forebay replay --status ${id}`)
    return 0
  }
  if (!input.flag('json')) print(`Replay ${id} of ${entity.name} (${topic}) from ${fromText(from)}.`)
  return follow(input, sql, id)
}

const refuseOthers = (from: From, topic: string): void => {
  if (from.kind !== 'positions') return
  for (const position of from.positions)
    if (position.topic !== topic)
      throw new UsageError(
        `--from ${fromText({ kind: 'positions', positions: [position] })}: the entity's topic is ${topic}`,
      )
  const partitions = new Set(from.positions.map(({ partition }) => partition))
  if (partitions.size < from.positions.length) throw new UsageError('--from names a partition twice')
}

/** Prints a line whenever there is something new, until it has ended or somebody has seen enough. */
const follow = async (input: Input, sql: Sql, id: number): Promise<number> => {
  const seenEnough = new AbortController()
  const stop = (): void => seenEnough.abort()
  process.once('SIGINT', stop)
  try {
    for (let said = ''; ; ) {
      const replay = await one(sql, id)
      const line = progressLine(replay)
      if (input.flag('json')) print(JSON.stringify(withEta(replay)))
      else if (line !== said && replay.state !== 'FAILED') print(line)
      said = line
      if (replay.state !== 'RUNNING') return ending(replay)
      await sleep(followMs, undefined, { signal: seenEnough.signal }).catch(() => {})
      if (!seenEnough.signal.aborted) continue
      if (!input.flag('json'))
        print(`It goes on. See it with: forebay replay --status ${id}; end it with: forebay replay --cancel ${id}`)
      return 0
    }
  } finally {
    process.off('SIGINT', stop)
  }
}

const ending = (replay: Replay): number => {
  if (replay.state === 'FAILED') throw new Error(`Replay ${replay.id} of ${replay.entity} failed: ${replay.error}`)
  return replay.state === 'DONE' ? 0 : 1
}

const withEta = (replay: Replay) => ({ ...replay, secondsLeft: secondsLeft(replay) ?? null })

const list = (input: Input, replays: readonly Replay[]): number => {
  if (input.flag('json')) print(JSON.stringify({ replays: replays.map(withEta) }))
  else if (replays.length === 0) print('Nothing was replayed yet.')
  else
    for (const replay of replays)
      print(
        `${String(replay.id).padStart(4)}  ${replay.requestedAt}  ${replay.entity} from ${replay.since}  ${progressLine(replay)}`,
      )
  return 0
}

const show = (input: Input, replay: Replay): number => {
  if (input.flag('json')) {
    print(JSON.stringify(withEta(replay)))
    return 0
  }
  const { id, entity, topic, since, state, requestedAt, requestedBy, partitions, partial } = replay
  print(`Replay ${id} of ${entity} (${topic}) from ${since}, asked for by ${requestedBy} at ${requestedAt}: ${state}`)
  print(`  ${progressLine(replay)}`)
  if (partial > 0)
    print(`  ${partial} records don't carry every column, and those kept what was stored: a re-snapshot brings them`)
  for (const { partition, next, until } of partitions) print(`  ${topic}-${partition}: at ${next} of ${until}`)
  return 0
}

const one = async (sql: Sql, id: number): Promise<Replay> => {
  const [replay] = await readReplays(sql, id)
  if (!replay) throw new Error(`There is no replay ${id}; see them with: forebay replay --list`)
  return replay
}

const entityOf = async (input: Input): Promise<{ readonly model: Model; readonly entity: Entity }> => {
  const name = input.text('entity') ?? ''
  const loaded = await loadSchema(input.config.schema)
  if (!loaded.ok)
    throw new Error(`The schema in ${input.config.schema} has faults:\n${loaded.faults.map(formatFault).join('\n')}`)
  const entity = loaded.model.entities.get(name)
  if (!entity) throw new UsageError(`--entity ${name}: there are ${[...loaded.model.entities.keys()].join(', ')}`)
  return { model: loaded.model, entity }
}
