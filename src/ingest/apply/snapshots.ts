/**
 * How far the initial snapshots of sources are read (C13). Reads of one snapshot share one version, or where the version is declared one
 * event time, in microseconds. READING until its last read or a later change of the stream has come; READ until the ends that the log had then are applied and the rows that it did not contain are
 * taken away; SWEPT. A snapshot that is broken off and begun again has a later version and takes its place.
 */
import type { Entity, Model } from '../../model/model.ts'
import { entityOf } from '../../model/sql/row-scope.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Change, ReplaceSet } from '../change.ts'
import { microsOf } from '../decode/instant.ts'
import type { SnapshotState } from './bounds.ts'
import type { Tx } from './fence.ts'
import { isHeld } from './quarantine.ts'
import type { Item } from './stretch.ts'

export const noteSnapshots = async (
  tx: Tx,
  model: Model,
  items: readonly Item[],
  known: ReadonlyMap<string, SnapshotState>,
): Promise<void> => {
  const said = items.flatMap(({ changes, sets }) => [...changes, ...sets])
  const news = [...Map.groupBy(said, ({ entity }) => entity)].flatMap(([entity, changes]) => {
    const state = stateAfter(entityOf(model, entity), changes, known.get(entity))
    return state ? [{ entity, ...state, major: String(state.major) }] : []
  })
  if (news.length === 0) return
  await tx`
    insert into forebay.snapshots as s (entity, epoch, version, event_time, state)
    select entity, epoch, major, event_time, state
    from json_to_recordset(${JSON.stringify(news)}::text::json) as x(entity text, epoch int, major bigint, event_time timestamptz, state text)
    order by entity
    on conflict (entity) do update set epoch = excluded.epoch, version = excluded.version, event_time = coalesce(excluded.event_time, s.event_time),
      state = excluded.state, ends = null
    where (s.epoch, s.version) < (excluded.epoch, excluded.version)
      or ((s.epoch, s.version) = (excluded.epoch, excluded.version) and s.state = 'READING' and excluded.state = 'READ')`
}

/** A reader of a topic. */
export type Reader = { readonly topic: string; readonly entity: string }

/**
 * Topics of which what a snapshot lacks is not taken away yet, one row each. What is in quarantine keeps a sweep waiting, and is excepted from
 * every bound anyway.
 */
export const unsweptTopics = (sql: Sql, readers: readonly Reader[]) => sql<{ topic: string }[]>`
  select distinct r.topic from json_to_recordset(${JSON.stringify(readers)}::text::json) as r (topic text, entity text)
  join forebay.snapshots s using (entity)
  where s.state <> 'SWEPT' and not exists (select from forebay.quarantine q where q.entity = r.entity and ${sql.unsafe(isHeld)})`

/** A declared version says nothing of when a row was read. */
export const snapshotsByTime = ({ conflict, source }: Entity): boolean =>
  source.version !== undefined && (conflict === 'VERSION' || conflict === 'OWNER')

/** Undefined: as it was. */
const stateAfter = (
  entity: Entity,
  said: readonly (Change | ReplaceSet)[],
  known: SnapshotState | undefined,
): (SnapshotState & { readonly event_time: string | null }) | undefined => {
  let state = known && { ...known, event_time: null as string | null }
  for (const one of said) {
    const { version, snapshot, eventTime } = one
    const major = snapshotsByTime(entity)
      ? eventTime && microsOf(eventTime)
      : version.kind === 'ordered' && version.major
    if (typeof major !== 'bigint') continue
    const { epoch } = version
    const order = state ? epoch - state.epoch || (major < state.major ? -1 : major > state.major ? 1 : 0) : 1
    if (snapshot) {
      if (order < 0) continue
      const read = snapshot === 'last' || (order === 0 && state?.state === 'READ')
      if (order > 0 || state?.state === 'READING')
        state = { epoch, major, state: read ? 'READ' : 'READING', event_time: eventTime }
    } else if (state?.state === 'READING' && order >= 0 && epoch === state.epoch) {
      state = { ...state, state: 'READ' }
    }
  }
  if (!state || (known && known.state === state.state && known.major === state.major && known.epoch === state.epoch))
    return undefined
  return state
}
