/** `forebay quarantine`: what could not be decoded or applied, why, and what is to be done about it. */
import { userInfo } from 'node:os'
import { createRedriver } from '../ingest/apply/redrive.ts'
import type { LogRecord } from '../ingest/change.ts'
import { createDecoder } from '../ingest/decode.ts'
import { registeredViews } from '../ingest/generations.ts'
import { decodeReady } from '../ingest/pump/block.ts'
import { openSchemas } from '../ingest/registry/open.ts'
import { present } from '../platform/present.ts'
import { withDatabase } from './database.ts'
import { startupCheck } from './migrate/install.ts'
import { type Done, dropQuarantined, type Means, redriveQuarantined } from './quarantine/act.ts'
import { absentFrom, listQuarantine, type State, showQuarantined, states } from './quarantine/records.ts'
import { readModel } from './read-model.ts'
import { type Input, print, UsageError, whole } from './verb.ts'

const list = async (input: Input): Promise<number> => {
  const limit = whole(input, 'limit') ?? 100
  const options = {
    limit: limit + 1,
    states: statesOf(input.text('state')),
    ...present({ entity: input.text('entity'), topic: input.text('topic') }),
  }
  const found = await withDatabase(input.config, 'quarantine', (sql) => listQuarantine(sql, options))
  const records = found.slice(0, limit)
  const more = found.length > limit
  if (input.flag('json')) print(JSON.stringify({ records, more }))
  else if (records.length === 0) print('Nothing is quarantined.')
  else
    for (const { id, position, entity, state, reason, quarantinedAt } of records)
      print(`${id.padStart(6)}  ${quarantinedAt}  ${state}  ${position}  ${entity ?? '-'}  ${reason}`)
  if (more && !input.flag('json')) print(`There are older ones: --limit ${10 * limit}`)
  return 0
}

const statesOf = (asked: string | undefined): readonly State[] => {
  if (asked === undefined) return ['PARKED', 'WAITING']
  if (asked === 'ALL') return states
  const known = states.find((state) => state === asked)
  if (!known) throw new UsageError(`--state ${asked}: write ${states.join(', ')} or ALL`)
  return [known]
}

const show = async (input: Input, id: string): Promise<number> => {
  const record = await withDatabase(input.config, 'quarantine', (sql) => showQuarantined(sql, id, input.flag('values')))
  if (!record) throw new Error(noRecord(id))
  if (input.flag('json')) print(JSON.stringify(record))
  else
    for (const [name, value] of Object.entries(record))
      print(`${name.padEnd(14)} ${Array.isArray(value) ? value.join(', ') : value}`)
  return 0
}

const redrive = (input: Input, ids: readonly string[]): Promise<number> => {
  const selection = present({
    ids: ids.length > 0 ? ids : undefined,
    entity: input.text('entity'),
    topic: input.text('topic'),
  })
  const chosen = [...Object.keys(selection), ...(input.flag('all') ? ['all'] : [])]
  if (chosen.length !== 1)
    throw new UsageError('quarantine redrive: write ids, or one of --entity ENTITY, --topic TOPIC and --all')
  return act(input, ids, (means) => redriveQuarantined(means, selection))
}

const drop = (input: Input, ids: readonly string[]): Promise<number> => {
  const reason = input.text('reason')?.trim()
  if (ids.length === 0) throw new UsageError('quarantine drop: write the ids that list shows')
  if (!reason) throw new UsageError('quarantine drop: write --reason TEXT; who, when and why is kept in forebay.audit')
  return act(input, ids, (means) => dropQuarantined(means, { ids, reason, actor: userName() }))
}

const userName = (): string => {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}

/** Answers 1 where something chosen stays. */
const act = async (input: Input, ids: readonly string[], what: (means: Means) => Promise<Done>): Promise<number> => {
  const model = await readModel(input.config.schema)
  known(input, 'entity', [...model.entities.keys()])
  known(
    input,
    'topic',
    [...model.entities.values()].map(({ source }) => source.topic),
  )
  const done = await withDatabase(input.config, 'quarantine', async (sql) => {
    await startupCheck(sql, model)
    const absent = await absentFrom(sql, ids)
    if (absent.length > 0) throw new Error(noRecord(absent.join(', ')))
    const catalog = await registeredViews(sql, model)
    if (!catalog)
      throw new Error(
        `The views of ${input.config.schema} are not those that are kept up: start ingest with this folder first.`,
      )
    const schemas = openSchemas(sql, input.config.schemaRegistry)
    try {
      const decoder = createDecoder(model, schemas)
      const ready = (record: LogRecord, epoch: number) => decodeReady(decoder, schemas, record, epoch)
      const redriver = createRedriver(sql, model, catalog, decoder, ready)
      return await what({ sql, decoder, redriver, ready })
    } finally {
      schemas.close()
    }
  })
  if (input.flag('json')) print(JSON.stringify(done))
  else print(summary(done))
  return done.parked + done.waiting > 0 ? 1 : 0
}

/** A name that nothing is called by would select nothing, and say that nothing is held. */
const known = (input: Input, option: 'entity' | 'topic', names: readonly string[]): void => {
  const given = input.text(option)
  if (given !== undefined && !names.includes(given))
    throw new UsageError(`--${option} ${given}: there are ${[...new Set(names)].join(', ')}`)
}
const noRecord = (id: string): string => `No record ${id} is quarantined; see: forebay quarantine list --state ALL`

const summary = ({ redriven, superseded, dropped, parked, waiting, reread }: Done): string => {
  const parts = [
    [redriven, 'applied'],
    [dropped, 'dropped'],
    [superseded, 'superseded by a later one'],
    [reread, reread === 1 ? 'partition goes on' : 'partitions go on'],
    [parked, 'still parked'],
    [waiting, 'still waiting'],
  ] as const
  const said = parts.filter(([n]) => n > 0).map(([n, what]) => `${n} ${what}`)
  const why = parked > 0 ? ' See why: forebay quarantine list' : ''
  return said.length > 0 ? `${said.join(', ')}.${why}` : 'Nothing of that is held.'
}

/** The verb. */
export const runQuarantine = async (input: Input): Promise<number> => {
  const [action, ...ids] = input.positionals
  const odd = ids.find((id) => !/^\d{1,18}$/.test(id))
  if (odd !== undefined) throw new UsageError(`quarantine ${action} ${odd}: the id is the number that list shows`)
  if (action === 'list' && ids.length === 0) return list(input)
  if (action === 'show' && ids.length === 1) return show(input, ids[0]!)
  if (action === 'redrive') return redrive(input, ids)
  if (action === 'drop') return drop(input, ids)
  throw new UsageError('write: forebay quarantine list, show <id>, redrive or drop; see --help')
}
