/**
 * A generation proved equal to its definition before anybody is switched to it (C8): by a pass over all its keys, each row of which
 * was seen equal in some snapshot, or judged by its owner. From then on rounds keep it so.
 *
 * What differs is repaired as any drift is, and that proves nothing: it is compared as a whole once more, until a pass finds nothing. What
 * can't be repaired, or is wrong again each time, has a cause that another comparison doesn't cure.
 */
import { log } from '../../platform/log.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Generation } from '../generations.ts'
import type { Proof, Prove, ProveOptions } from '../rebuild/prove.ts'
import { byRebuild, mostRepairs, requestPass } from './pass.ts'

const lookMs = 200
/** Totals that are put right move rows that were right without them, so a second pass may find more; a fifth doesn't. */
const mostProofs = 5

type Ended = { readonly compared: number; readonly drifted: number; readonly repaired: number }
type State = Ended & { readonly state: string; readonly waiting: string | null }

/** Whoever takes over after a crash follows the pass that is under way, and counts those that are over. */
export const proveByKeys: Prove = async (sql, generation, options) => {
  let [past, before] = await pastProofs(sql, generation)
  for (;;) {
    const say = (text: string): void =>
      options.say(
        before === undefined ? text : `${repairedText(before)}; comparison ${past + 1} of ${mostProofs}: ${text}`,
      )
    const pass = await onePass(sql, generation, { ...options, say: (text) => say(text ?? '') })
    past += 1
    const verdict = verdictOf(pass, past)
    if (verdict) return verdict
    before = pass
    const { compared: keys, drifted: differing } = pass
    log.warn('generation.repaired', {
      view: generation.table.view,
      generation: generation.generation,
      keys,
      differing,
      proof: past,
    })
  }
}

/** Undefined: what differed is repaired, and is to be compared again. */
const verdictOf = ({ compared: keys, drifted, repaired }: Ended, past: number): Proof | undefined => {
  if (drifted === 0) return { keys, differing: 0 }
  if (drifted > repaired)
    return { keys, differing: drifted - repaired, why: `and stay so after ${mostRepairs} repairs of each` }
  if (past < mostProofs) return undefined
  return { keys, differing: drifted, why: `in the last of ${past} comparisons, each of which repaired what it found` }
}

const repairedText = ({ compared, drifted }: Ended): string =>
  `${drifted} of ${compared} keys differed and were repaired`

const onePass = async (
  sql: Sql,
  { generation, table }: Generation,
  { signal, say, sleep }: ProveOptions,
): Promise<Ended> => {
  const id =
    (await underWay(sql, generation)) ??
    (await requestPass(sql, { kind: 'VIEW', name: table.view, generation }, byRebuild))
  for (;;) {
    signal.throwIfAborted()
    const [row] = await sql<State[]>`
      select state, compared::float8 as compared, drifted::float8 as drifted, repaired::float8 as repaired, waiting
      from forebay.reconciliations where id = ${id}`
    if (row === undefined) throw new Error('the comparison with the definition was given up')
    if (row.state === 'DONE') return row
    say(
      row.waiting ??
        (row.state === 'READING' ? `${row.compared} keys are compared with the definition` : 'what differs is judged'),
    )
    await sleep(lookMs)
  }
}

const underWay = async (sql: Sql, generation: number): Promise<string | undefined> => {
  const [row] = await sql<{ id: string }[]>`
    select id::text from forebay.reconciliations
    where generation = ${generation} and asked_by = ${byRebuild} and finished_at is null order by id limit 1`
  return row?.id
}

/** How many comparisons found something, and the last of them. */
const pastProofs = async (sql: Sql, { generation, table }: Generation): Promise<[number, Ended | undefined]> => {
  const rows = await sql<Ended[]>`
    select compared::float8 as compared, drifted::float8 as drifted, repaired::float8 as repaired from forebay.reconciliations
    where name = ${table.view} and generation = ${generation} and asked_by = ${byRebuild} and finished_at is not null and drifted > 0
    order by finished_at desc`
  return [rows.length, rows[0]]
}
