/**
 * What ON CONFLICT DO UPDATE does for stored `e` and new `excluded`: each assignment, and whether the new change counts at all. `same`:
 * whether the new change is the record that the row, or some field of it, stands on.
 */
import { quote } from '../../model/names.ts'

export type Merge = {
  readonly set: readonly (readonly [name: string, value: string])[]
  readonly newer: string
  readonly same: string
}

const equal = '(e._epoch, e._version, e._tie) = (excluded._epoch, excluded._version, excluded._tie)'

/** The later version's row, whole, but for columns that it doesn't carry. */
export const versionMerge = (payload: readonly string[]): Merge => ({
  newer: `case when excluded._version = -1 then e._partition = excluded._partition and e._offset < excluded._offset
    else (e._epoch, e._version, e._tie) < (excluded._epoch, excluded._version, excluded._tie) end`,
  same: `(e._partition, e._offset) = (excluded._partition, excluded._offset) and (excluded._version = -1 or ${equal})`,
  set: [
    ...payload.map((name): [string, string] => [
      name,
      `case when ${quote(name.slice(1, -1))} = any(excluded._absent) then e.${name} else excluded.${name} end`,
    ]),
    ['_deleted', 'excluded._deleted'],
    // By what a tombstone was stored first: written anew by a replay it gets no longer life.
    ['_deleted_at', `case when ${equal} then e._deleted_at else excluded._deleted_at end`],
    ...['_epoch', '_version', '_tie'].map((name): [string, string] => [
      name,
      `case when excluded._version = -1 then e.${name} else excluded.${name} end`,
    ]),
    ...['_event_time', '_partition', '_offset', '_trace', '_tx'].map((name): [string, string] => [
      name,
      `excluded.${name}`,
    ]),
    // A column that keeps its value keeps the source's own word for it.
    [
      '_raw',
      `case when excluded._absent is null or e._raw is null then excluded._raw else nullif((select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(e._raw) where key = any(excluded._absent)) || coalesce(excluded._raw, '{}'), '{}') end`,
    ],
    // A row that came from another key has nothing of the one that is stored here, which a truncate may be about to take away.
    [
      '_absent',
      `case when excluded._absent is null then null else nullif(array(select a from unnest(excluded._absent) a where e._deleted or a = any(e._absent) or excluded._awaits is not null and not ${equal}), '{}') end`,
    ],
    // A change of the key waits for what the row held under its old one; what it waits for is still lacking after a partial change (C15).
    [
      '_awaits',
      `case when ${equal} then e._awaits else coalesce(excluded._awaits, case when excluded._absent && e._absent then e._awaits end) end`,
    ],
  ],
})
