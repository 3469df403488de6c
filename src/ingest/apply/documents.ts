/**
 * Entities whose rows are the elements of an array in a record: a record replaces the rows that its parent had before. Which
 * record that was is remembered per parent, so that an older one that comes late brings nothing back.
 */

import type { Entity, Model } from '../../model/model.ts'
import { columnName, columnSqlType, entityTable, ident } from '../../model/names.ts'
import { answerSql } from '../../model/sql/answer.ts'
import { columnOf, entityOf } from '../../model/sql/row-scope.ts'
import type { CellValue, Change, OrderedVersion, ReplaceSet } from '../change.ts'
import type { Tx } from './fence.ts'
import { compareVersions, keyText } from './fold.ts'
import { type Dropped, sumDropped } from './write.ts'

type Ordered = ReplaceSet & { readonly version: OrderedVersion }
/** What a batch holds of one parent: the newest record, and the last one without a version. */
type Parent = { readonly newest?: Ordered; readonly unversioned?: ReplaceSet }

const isOrdered = (set: ReplaceSet): set is Ordered => set.version.kind === 'ordered'

/** `dropped`: records that something newer of their parent came before. */
export type Resolved = { readonly changes: readonly Change[]; readonly dropped: readonly Dropped[] }

/**
 * What the records of each parent mean: their elements, and a delete for every row that is no longer one. `refresh`: the record that a
 * parent was last filled from counts again.
 */
export const resolveSets = async (
  tx: Tx,
  model: Model,
  sets: readonly ReplaceSet[],
  refresh = false,
): Promise<Resolved> => {
  if (sets.length === 0) return { changes: [], dropped: [] }
  const parents = new Map<string, Parent>()
  for (const set of sets) {
    const name = JSON.stringify([set.entity, set.parent])
    const known = parents.get(name) ?? {}
    if (!isOrdered(set)) parents.set(name, { ...known, unversioned: set })
    else if (!known.newest || compareVersions(set.version, known.newest.version) > 0)
      parents.set(name, { ...known, newest: set })
  }
  const { won, repeated } = await winners(
    tx,
    [...parents.values()].flatMap(({ newest }) => newest ?? []),
    refresh,
  )
  const replacing = [...parents.values()].map((parent) => inOrder(parent, won)).filter((steps) => steps.length > 0)
  const counting = new Set(replacing.flat())
  const dropped = sets
    .filter((set) => !counting.has(set))
    .map((set): Dropped => {
      const { newest } = parents.get(JSON.stringify([set.entity, set.parent]))!
      const isNewest = newest && isOrdered(set) && compareVersions(set.version, newest.version) === 0
      const again = isNewest && (set !== newest || repeated.has(set))
      return { entity: set.entity, reason: again ? 'duplicate' : 'older', count: 1 }
    })
  const changes: Change[] = []
  for (const [name, group] of Map.groupBy(replacing, ([first]) => first!.entity)) {
    const entity = entityOf(model, name)
    const stored = await liveRows(
      tx,
      entity,
      group.map(([first]) => first!.parent),
    )
    for (const [n, steps] of group.entries()) {
      let before = stored[n]!
      for (const set of steps) {
        const kept = new Set(set.rows.map((row) => keyText(entity, row)))
        const gone = before.filter((one) => !kept.has(keyText(entity, one)) && !(refresh && isLater(one, set)))
        changes.push(...gone.map(({ row }) => deletion(set, row)), ...set.rows)
        before = set.rows
      }
    }
  }
  return { changes, dropped: sumDropped(dropped) }
}

/** The records that count, one after the other. */
const inOrder = ({ newest, unversioned }: Parent, won: ReadonlySet<ReplaceSet>): readonly ReplaceSet[] => {
  if (!newest || !won.has(newest)) return unversioned ? [unversioned] : []
  return unversioned && unversioned.position.offset > newest.position.offset ? [newest, unversioned] : [newest]
}

type StoredRow = Pick<Change, 'row' | 'position'>
/** An element that a later record brought, one without a version, is none of this record's to delete. */
const isLater = ({ position }: StoredRow, set: ReplaceSet): boolean =>
  position.partition === set.position.partition && position.offset > set.position.offset

const deletion = ({ entity, version, eventTime, position }: ReplaceSet, row: Change['row']): Change => ({
  entity,
  op: 'delete',
  row,
  absent: [],
  version,
  eventTime,
  live: false,
  position,
})

/** The keys of each parent's rows, written as decode writes them. */
const liveRows = async (
  tx: Tx,
  entity: Entity,
  parents: readonly ReplaceSet['parent'][],
): Promise<readonly (readonly StoredRow[])[]> => {
  const fields = Object.keys(parents[0]!)
  const column = (field: string) => ident(columnName(field))
  const typed = fields.map((field) => `${column(field)} ${columnSqlType(columnOf(entity, field))}`)
  const key = entity.key.map(
    (field) => `${answerSql(`e.${column(field)}`, columnOf(entity, field).type)} as ${ident(field)}`,
  )
  const rows = (await tx.unsafe(
    `select p.n, e._partition as "_partition", e._offset as "_offset", ${key.join(', ')} from json_to_recordset($1::text::json) as p(n int, ${typed.join(', ')})
     join ${entityTable(entity)} e on ${fields.map((field) => `e.${column(field)} = p.${column(field)}`).join(' and ')}
     where not e._deleted`,
    [JSON.stringify(parents.map((parent, n) => ({ n, ...renamed(parent) })))],
  )) as unknown as ({ n: number; _partition: number; _offset: string } & Record<string, CellValue>)[]
  const found = parents.map((): StoredRow[] => [])
  const { topic } = entity.source
  for (const { n, _partition, _offset, ...row } of rows)
    found[n]!.push({ row, position: { topic, partition: _partition, offset: BigInt(_offset) } })
  return found
}

const renamed = (parent: ReplaceSet['parent']): Record<string, CellValue> =>
  Object.fromEntries(Object.entries(parent).map(([field, value]) => [columnName(field), value]))

/**
 * `won`: those that are newer than the record their parent was last filled from, or `refresh` and that record; moves the memory on.
 * `repeated`: those that are that record, and don't count.
 */
const winners = async (
  tx: Tx,
  sets: readonly Ordered[],
  refresh: boolean,
): Promise<{ readonly won: ReadonlySet<ReplaceSet>; readonly repeated: ReadonlySet<ReplaceSet> }> => {
  if (sets.length === 0) return { won: new Set(), repeated: new Set() }
  const rows = sets.map(({ entity, parent, version }, n) => ({
    n,
    entity,
    parent: JSON.stringify(Object.values(parent)),
    epoch: version.epoch,
    version: String(version.major),
    tie: String(version.minor),
  }))
  // The memory as it was before this statement: of those that lose, an equal one is the same record.
  const found = await tx<{ n: number; won: boolean; same: boolean }[]>`
    with x as materialized (
      select * from json_to_recordset(${JSON.stringify(rows)}::text::json)
        as x(n int, entity text, parent text, epoch int, version bigint, tie bigint)),
    won as (
      insert into forebay.documents as d (entity, parent, epoch, version, tie)
      select entity, parent, epoch, version, tie from x order by entity, parent
      on conflict (entity, parent) do update set epoch = excluded.epoch, version = excluded.version, tie = excluded.tie
      where (d.epoch, d.version, d.tie) < (excluded.epoch, excluded.version, excluded.tie)
        or ${refresh} and (d.epoch, d.version, d.tie) = (excluded.epoch, excluded.version, excluded.tie)
      returning d.entity, d.parent)
    select x.n, won.entity is not null as won, (d.epoch, d.version, d.tie) is not distinct from (x.epoch, x.version, x.tie) as same
    from x left join won using (entity, parent) left join forebay.documents d using (entity, parent)`
  const setsWhere = (wanted: (row: { readonly won: boolean; readonly same: boolean }) => boolean) =>
    new Set<ReplaceSet>(found.filter(wanted).map(({ n }) => sets[n]!))
  return { won: setsWhere(({ won }) => won), repeated: setsWhere(({ won, same }) => same && !won) }
}
