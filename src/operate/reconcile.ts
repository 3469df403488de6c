/** `forebay reconcile`: how views stand against their definitions, and entities against their sources; or a whole comparison at once. */
import { setTimeout as sleep } from 'node:timers/promises'
import { requestPass, type Subject } from '../ingest/reconcile/pass.ts'
import { whyNotComparable } from '../ingest/reconcile/source-table.ts'
import type { Sql } from '../platform/postgres.ts'
import { withDatabase } from './database.ts'
import { readModel } from './read-model.ts'
import {
  type Compared,
  ingestRuns,
  type Outcome,
  readCompared,
  readOutcomes,
  subjectsOf,
  withdraw,
} from './reconcile/state.ts'
import { type Input, print, UsageError } from './verb.ts'

const followMs = 300
/** An ingest process that is started anew is given so long. */
const patienceMs = 5_000

export const runReconcile = async (input: Input): Promise<number> => {
  const [name, ...more] = input.positionals
  if (more.length > 0) throw new UsageError(`forebay reconcile --now takes one view or entity, not also ${more[0]}`)
  if (name !== undefined && !input.flag('now'))
    throw new UsageError(`write forebay reconcile --now ${name} to compare it; without --now the state of all is shown`)
  const model = await readModel(input.config.schema)
  return withDatabase(input.config, 'reconcile', async (sql) => {
    const all = await subjectsOf(sql, model)
    if (!input.flag('now')) return show(input, await readCompared(sql, all))
    const subjects = name === undefined ? all : all.filter((one) => one.name === name)
    if (subjects.length === 0 && name !== undefined) {
      const entity = model.entities.get(name)
      if (entity)
        throw new UsageError(
          `${name} can't be compared with its source: ${whyNotComparable(entity) ?? 'no reason is known'}`,
        )
      throw new UsageError(`--now ${name}: there are ${all.map((one) => one.name).join(', ')}`)
    }
    return compareNow(input, sql, subjects)
  })
}

/** Waits for the end of all of them. 1 where drift was found. */
const compareNow = async (input: Input, sql: Sql, subjects: readonly Subject[]): Promise<number> => {
  if (!(await ingestRuns(sql))) throw new Error(noIngest)
  const ids: string[] = []
  for (const subject of subjects) ids.push(await requestPass(sql, subject, 'forebay reconcile --now'))
  const said = new Map<string, string>()
  for (let seen = Date.now(); ; await sleep(followMs)) {
    const outcomes = await readOutcomes(sql, ids)
    for (const one of outcomes) {
      const line = outcomeLine(one)
      if (!input.flag('json') && said.get(one.id) !== line && (one.state === 'DONE' || one.waiting)) print(line)
      said.set(one.id, line)
    }
    if (outcomes.length < ids.length) throw new Error('A view was given up while it was compared: ask again.')
    if (outcomes.every(({ state }) => state === 'DONE')) {
      if (input.flag('json')) print(JSON.stringify({ passes: outcomes }))
      return outcomes.some(({ drifted }) => drifted > 0) ? 1 : 0
    }
    if (await ingestRuns(sql)) seen = Date.now()
    if (Date.now() - seen < patienceMs) continue
    await withdraw(sql, ids)
    throw new Error(noIngest)
  }
}

const noIngest =
  'No ingest process runs on this database, and it is ingest that compares: start one (forebay ingest, forebay start) and ask again.'

const count = (n: number): string => n.toLocaleString('en')

const outcomeLine = ({ kind, name, state, compared, drifted, repaired, waiting }: Outcome): string => {
  const found = drifted === 0 ? 'nothing drifted' : `${count(drifted)} drifted, ${count(repaired)} repaired`
  const at = state === 'DONE' ? '' : state === 'READING' ? ', comparing' : ', judging what differs'
  return `${name} (${kind.toLowerCase()}): ${count(compared)} keys compared, ${found}${at}${waiting === null ? '' : `; waiting: ${waiting}`}`
}

const show = (input: Input, compared: readonly Compared[]): number => {
  if (input.flag('json')) print(JSON.stringify({ compared }))
  else if (compared.length === 0)
    print('There is nothing to compare: no view is kept up, and no entity is read from a database.')
  for (const { kind, name, last, now } of input.flag('json') ? [] : compared) {
    print(
      last === null
        ? `${name} (${kind.toLowerCase()}): not compared yet`
        : `${outcomeLine(last)}, at ${last.finishedAt}`,
    )
    if (now !== null) print(`  under way since ${now.startedAt}: ${outcomeLine(now).replace(/^.*?: /, '')}`)
  }
  return 0
}
