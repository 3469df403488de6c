/** `forebay rebuild`: what is built and what stands by; builds a view anew beside the one that serves, and goes back to what served before. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Progress, readProgress, secondsLeft } from '../ingest/rebuild/progress.ts'
import { Refused, requestBuild, rollback } from '../ingest/rebuild/states.ts'
import type { Sql } from '../platform/postgres.ts'
import { withDatabase } from './database.ts'
import { span } from './replay/progress.ts'
import { type Input, print, UsageError } from './verb.ts'

const followMs = 1_000

export const runRebuild = (input: Input): Promise<number> => {
  const [view, ...more] = input.positionals
  if (more.length > 0) throw new UsageError('rebuild takes one view at a time')
  const back = input.text('rollback')
  if (back !== undefined && view !== undefined)
    throw new UsageError('write rebuild <View>, or rebuild --rollback <View>')
  return withDatabase(input.config, 'rebuild', async (sql) => {
    if (back !== undefined) return goBack(input, sql, back)
    if (view !== undefined) return build(input, sql, view)
    return list(input, sql)
  })
}

const goBack = async (input: Input, sql: Sql, view: string): Promise<number> => {
  await known(sql, view)
  const { from, to } = await rollback(sql, view)
  if (input.flag('json')) print(JSON.stringify({ view, from, to }))
  else
    print(
      `${view} is served by generation ${to} again. Generation ${from} stands by: the same command returns to it while it is kept.`,
    )
  return 0
}

const build = async (input: Input, sql: Sql, view: string): Promise<number> => {
  await known(sql, view)
  const generation = await requestBuild(sql, view)
  if (!input.flag('wait')) {
    if (input.flag('json')) print(JSON.stringify({ view, generation }))
    else print(`Generation ${generation} of ${view} is built beside the one that serves. See it with: forebay rebuild`)
    return 0
  }
  return follow(input, sql, generation)
}

/** Prints a line whenever there is something new, until it serves or can't. */
const follow = async (input: Input, sql: Sql, generation: number): Promise<number> => {
  for (let said = ''; ; await sleep(followMs)) {
    const one = (await readProgress(sql)).find((all) => all.generation === generation)
    if (!one) throw new Refused(`generation ${generation} was given up: another build of the view has taken its place`)
    const line = progressLine(one)
    if (input.flag('json')) print(JSON.stringify(withEta(one)))
    else if (line !== said) print(`${one.view} ${generation}  ${line}`)
    said = line
    if (one.state === 'ACTIVE') return 0
    if (one.failed) return 1
  }
}

const list = async (input: Input, sql: Sql): Promise<number> => {
  const all = await readProgress(sql)
  if (input.flag('json')) print(JSON.stringify({ generations: all.map(withEta) }))
  else if (all.length === 0) print('No view is kept yet: start ingest first.')
  else {
    const width = Math.max(...all.map(({ view }) => view.length))
    for (const one of all)
      print(
        `${one.view.padEnd(width)}  ${String(one.generation).padStart(4)}  ${one.state.padEnd(8)}  ${progressLine(one)}`,
      )
  }
  return 0
}

const known = async (sql: Sql, view: string): Promise<void> => {
  const views = [...new Set((await readProgress(sql)).map((one) => one.view))]
  if (!views.includes(view))
    throw new UsageError(
      views.length > 0
        ? `rebuild ${view}: there are ${views.join(', ')}`
        : `rebuild ${view}: no view is kept yet: start ingest first`,
    )
}

const withEta = (one: Progress) => ({ ...one, secondsLeft: secondsLeft(one) ?? null })

const count = (n: number): string => Math.round(n).toLocaleString('en')

const progressLine = (one: Progress): string => {
  const { state, filled, done, total, rate, waiting, reason, switchedAt, failed } = one
  const since = switchedAt === null ? '' : ` since ${switchedAt}`
  const left = secondsLeft(one)
  const filling = [
    total === 0 ? 'waiting for an ingest process' : `${Math.floor((100 * done) / total)}% of ${count(total)} keys`,
    ...(rate === null ? [] : [`${count(rate)}/s`]),
    ...(left === undefined ? [] : [`ETA ${span(left)}`]),
    ...(waiting === null ? [] : [`waiting: ${waiting}`]),
  ].join('  ')
  const why = reason === null ? '' : `: ${reason}`
  switch (state) {
    case 'BUILDING':
      if (failed) return `failed${why}. To build it anew: forebay rebuild ${one.view}`
      return filled ? `filled, compared with its definition${why}` : `${filling}${why}`
    case 'PROVEN':
      return 'equal to its definition'
    case 'ACTIVE':
      return filled ? `serves${since}` : `serves${since}, being filled: ${filling}`
    case 'STANDBY':
      return `stands by${since}: forebay rebuild --rollback ${one.view} returns to it${why}`
    case 'RETIRED':
      return 'not kept'
  }
}
