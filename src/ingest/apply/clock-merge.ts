/**
 * conflict: FIELD_CLOCK as SQL: a merge that is commutative, associative and idempotent, so that any order and any repetition of a
 * history ends in the same row.
 *
 * `_clocks` holds a clock by column, that of the change which wrote it; `+` is the latest upsert's and `-` the latest delete's. A row
 * lives if the latest upsert is later than the latest delete; a field holds what the latest upsert that carried it gave, if that is
 * later than the latest delete. A clock is `[epoch, event time in microseconds, place in the log]`: jsonb compares such lists number by
 * number, exactly, and a shorter list is earlier. No two records have equal ones.
 *
 * `?` is the clock of the latest change of the key that waits for an image (C15). What the row held under its other key counts as
 * carried by that change: `_absent` are the columns that nothing later has written.
 */
import { quote } from '../../model/names.ts'
import type { Merge } from './version-merge.ts'

const clock = (row: string, name: string): string => `coalesce(${row}._clocks->${name}, '[]')`
const latest = (name: string): string => `greatest(${clock('e', name)}, ${clock('excluded', name)})`
// With equal clocks it is the same record, which a replay may read otherwise than live did.
const laterOf = (name: string, what: string): string =>
  `case when ${clock('excluded', name)} >= ${clock('e', name)} then excluded.${what} else e.${what} end`

export const clockMerge = (payload: readonly string[]): Merge => {
  const deleted = latest(`'-'`)
  const isGone = `${latest(`'+'`)} <= ${deleted}`
  const columns = payload.map((name) => ({ name, text: quote(name.slice(1, -1)) }))
  const words = columns.map(({ text }) => text)
  /** The change that the row's provenance speaks of is the latest. */
  const last = ['_epoch', '_version', '_tie', '_event_time', '_partition', '_offset', '_trace', '_tx'].map(
    (name): [string, string] => [
      name,
      `case when (e._epoch, e._version, e._tie) < (excluded._epoch, excluded._version, excluded._tie) then excluded.${name} else e.${name} end`,
    ],
  )
  const awaiting = (what: string) =>
    `case when ${clock('excluded', "'?'")} > ${clock('e', "'?'")} then excluded.${what} else e.${what} end`
  const awaited = latest("'?'")
  const lacking = `select a from unnest(${awaiting('_absent')}) a
        where ${awaited} > greatest(${deleted}, coalesce(e._clocks->a, '[]'), coalesce(excluded._clocks->a, '[]'))`
  // A delete, or a wait, that all the row holds came after says nothing of it: live may have left it out with what it was folded into.
  const reaches = `exists (select from unnest(array[${[`'+'`, ...words].join(', ')}]::text[]) a where coalesce(e._clocks->a, '[]') < c.value)`
  return {
    newer: `exists (select from jsonb_each(excluded._clocks) c where c.value > coalesce(e._clocks->c.key, '[]') and case c.key
      when '+' then true when '-' then ${reaches} when '?' then c.value > coalesce(e._clocks->'-', '[]') and ${reaches}
      else c.value > coalesce(e._clocks->'-', '[]') end)`,
    same: `exists (select from jsonb_each(excluded._clocks) c where c.value = e._clocks->c.key)`,
    set: [
      ...columns.map(({ name, text }): [string, string] => [
        name,
        `case when ${latest(text)} <= ${deleted} then null else ${laterOf(text, name)} end`,
      ]),
      ...last,
      ['_deleted', isGone],
      ['_deleted_at', `case when ${isGone} then coalesce(e._deleted_at, now()) end`],
      ['_raw', rawSql(words, deleted)],
      ['_absent', `nullif(array(${lacking}), '{}')`],
      ['_awaits', `case when exists (${lacking}) then ${awaiting('_awaits')} end`],
      [
        '_clocks',
        `(select jsonb_object_agg(key, value) from (
        select distinct on (key) key, value from (select * from jsonb_each(e._clocks) union all select * from jsonb_each(excluded._clocks)) c order by key, value desc) m
      where key in ('+', '-') or value > ${deleted})`,
      ],
    ],
  }
}

/** The source's own words of the columns as they stand after the merge. */
const rawSql = (columns: readonly string[], deleted: string): string =>
  `case when e._raw is not null or excluded._raw is not null then nullif((select coalesce(jsonb_object_agg(c, w), '{}') from (
        select c, case when coalesce(excluded._clocks->c, '[]') >= coalesce(e._clocks->c, '[]') then excluded._raw->c else e._raw->c end as w
        from unnest(array[${columns.join(', ')}]::text[]) c
        where greatest(coalesce(e._clocks->c, '[]'), coalesce(excluded._clocks->c, '[]')) > ${deleted}) r where w is not null), '{}') end`
