/**
 * What becomes of a generation:
 *
 *   BUILDING ─► PROVEN ─► ACTIVE ◄─► STANDBY ─► RETIRED
 *
 * BUILDING: filled beside the one that serves. PROVEN: seen equal to its definition. ACTIVE: its view's pointer names it. STANDBY: served
 * before, and kept up for a way back. RETIRED: not kept up; its tables are dropped. A view's first generation is ACTIVE at once, and
 * a build that is given up is RETIRED from wherever it stood.
 *
 * Each move is one transaction that also moves the catalog's version, so that whoever writes or reads by an older one learns of it.
 * What adds or takes away a generation excludes every apply transaction (C8); a move of the pointer alone waits for nobody.
 */
import { decodeView, encodeView, renamedView, type StoredView } from '../../model/stored-view.ts'
import type { Sql } from '../../platform/postgres.ts'
import { lockCatalog, type Tx } from '../apply/fence.ts'

export type State = 'BUILDING' | 'PROVEN' | 'ACTIVE' | 'STANDBY' | 'RETIRED'
/** `declared`: the hash of the definition as folders give it; `hash`: that of this build of it, by which its tables are named. */
export type Known = {
  readonly generation: number
  readonly view: string
  readonly hash: string
  readonly declared: string
  readonly state: State
  readonly rolledBack: boolean
  readonly pointed: boolean
  readonly definition: string | null
}

/** Nobody else changes what is registered until the transaction ends. */
export const lockStates = (tx: Tx): Promise<unknown> => tx`select version from forebay.catalog for update`

/** Nor does anybody apply a change. */
export const lockEverything = async (tx: Tx): Promise<void> => {
  await lockCatalog(tx, 'exclusive')
  await lockStates(tx)
}

export const moved = async (tx: Tx): Promise<number> => {
  const [row] = await tx<{ version: number }[]>`update forebay.catalog set version = version + 1 returning version`
  return row!.version
}

/** All that is kept up, the oldest first. */
export const keptGenerations = (sql: Sql | Tx): Promise<readonly Known[]> => sql<Known[]>`
  select g.generation, g.view, g.hash, coalesce(g.declared, g.hash) as declared, g.state, g.rolled_back as "rolledBack",
    exists (select from forebay.pointers p where p.generation = g.generation) as pointed, g.definition::text as definition
  from forebay.generations g where g.retired_at is null order by g.generation`

/** Makes its tables and its row; answers with its number. Under `lockEverything`. */
export const addGeneration = async (
  tx: Tx,
  view: StoredView,
  { declared, state, filled }: { readonly declared: string; readonly state: State; readonly filled: boolean },
): Promise<number> => {
  const { view: name, hash } = view.table
  // A definition that comes back after it was retired was not kept up meanwhile: it begins anew.
  await tx`
    with gone as (delete from forebay.generations where view = ${name} and hash = ${hash} returning generation)
    delete from forebay.fills f using gone where f.generation = gone.generation`
  for (const table of view.tables) await tx.unsafe(`drop table if exists ${table}`)
  for (const statement of [...view.ddl, ...view.indexes]) await tx.unsafe(statement)
  const [row] = await tx<{ generation: number }[]>`
    insert into forebay.generations (view, hash, declared, state, definition, filled_at, switched_at)
    values (${name}, ${hash}, ${declared}, ${state}, ${encodeView(view)}::text::jsonb,
      case when ${filled} then now() end, case when ${state} = 'ACTIVE' then now() end)
    returning generation`
  if (state === 'ACTIVE') await point(tx, name, row!.generation)
  return row!.generation
}

const point = (tx: Tx, view: string, generation: number): Promise<unknown> => tx`
  insert into forebay.pointers (view, generation) values (${view}, ${generation})
  on conflict (view) do update set generation = excluded.generation, moved_at = now()`

/** The view's pointer goes to this generation; the one it named stands by. `rollback`: somebody goes back from it, so no start returns to it by itself. */
export const activate = async (tx: Tx, view: string, generation: number, rollback = false): Promise<void> => {
  await tx`
    update forebay.generations set state = 'STANDBY', switched_at = now(), rolled_back = ${rollback} and generation > ${generation}, switched_catalog = (select version + 1 from forebay.catalog)
    where view = ${view} and state = 'ACTIVE' and generation <> ${generation}`
  await tx`
    update forebay.generations set state = 'ACTIVE', switched_at = now(), rolled_back = false, reason = null,
      switched_catalog = (select version + 1 from forebay.catalog)
    where generation = ${generation}`
  await point(tx, view, generation)
}

/** Nothing of the folder speaks of the view any more: what served it stands by. */
export const unpoint = async (tx: Tx, view: string): Promise<void> => {
  await tx`
    update forebay.generations set state = 'STANDBY', switched_at = now(), switched_catalog = (select version + 1 from forebay.catalog)
    where view = ${view} and state = 'ACTIVE'`
  await tx`delete from forebay.pointers where view = ${view}`
}

/** Kept up no longer. Under `lockEverything`; what maintainers still log of them goes with their tables. */
export const retire = async (tx: Tx, generations: readonly number[]): Promise<void> => {
  const numbers = [...generations]
  await tx`update forebay.generations set state = 'RETIRED', retired_at = now() where generation = any(${numbers}::int[])`
  await tx`delete from forebay.pointers where generation = any(${numbers}::int[])`
  await tx`delete from forebay.dirty where generation = any(${numbers}::int[])`
  await tx`delete from forebay.degraded where generation = any(${numbers}::int[])`
  await tx`delete from forebay.parked_keys where generation = any(${numbers}::int[])`
}

/** A hash for another build of the same definition; as long as any, since Postgres cuts long names. */
const nextHash = async (tx: Tx, view: string, declared: string): Promise<string> => {
  const [row] = await tx<{ hash: string }[]>`
    select left(encode(sha256(convert_to(${declared} || ':' || count(*) || ':' || coalesce(max(generation), 0), 'UTF8')), 'hex'), 12) as hash
    from forebay.generations where view = ${view}`
  return row!.hash
}

/** Builds the definition that serves anew, beside it. Answers with the new generation. Throws where there is nothing to build from. */
export const requestBuild = (sql: Sql, view: string): Promise<number> =>
  sql.begin(async (tx) => {
    await lockEverything(tx)
    const known = (await keptGenerations(tx)).filter((one) => one.view === view)
    const serving = known.find(({ state }) => state === 'ACTIVE')
    if (serving?.definition == null) throw new Refused(`nothing of ${view} serves that could be built anew`)
    const others = known.filter(({ state }) => state === 'BUILDING' || state === 'PROVEN')
    await retire(
      tx,
      others.map(({ generation }) => generation),
    )
    const stored = renamedView(decodeView(serving.definition), await nextHash(tx, view, serving.declared))
    const made = await addGeneration(tx, stored, { declared: serving.declared, state: 'BUILDING', filled: false })
    await moved(tx)
    return made
  }) as Promise<number>

/** The pointer goes back to what served before. Answers with both generations. Throws where none is kept. */
export const rollback = (sql: Sql, view: string): Promise<{ readonly from: number; readonly to: number }> =>
  sql.begin(async (tx) => {
    await lockStates(tx)
    const known = (await keptGenerations(tx)).filter((one) => one.view === view)
    const serving = known.find(({ state }) => state === 'ACTIVE')
    if (!serving) throw new Refused(`nothing of ${view} serves`)
    const [back] = await tx<{ generation: number }[]>`
      select generation from forebay.generations where view = ${view} and state = 'STANDBY' and retired_at is null
      order by switched_at desc, generation desc limit 1`
    if (!back)
      throw new Refused(
        `no earlier generation of ${view} is kept any more: deploy the earlier folder, and it is built beside the one that serves`,
      )
    await activate(tx, view, back.generation, true)
    await moved(tx)
    return { from: serving.generation, to: back.generation }
  }) as Promise<{ readonly from: number; readonly to: number }>

/** What was asked for can't be done, in words for whoever asked. */
export class Refused extends Error {}
