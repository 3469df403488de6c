/**
 * Entities whose rows are the elements of an array in a record: a record replaces the rows that its parent had before. Which
 * record that was is remembered per parent, so that an older one that comes late brings nothing back.
 */
import type { Model } from '../../model/model.ts'
import { columnName, columnSqlType, entityTable, ident } from '../../model/names.ts'
import { columnOf, entityOf } from '../../model/row-scope.ts'
import type { CellValue, Change, ReplaceSet } from '../change.ts'
import type { Tx } from './fence.ts'
import { compareVersions, keyText } from './fold.ts'

/** The changes that the newest record of each parent means: its elements, and a delete for every row that is no longer one. */
export const resolveSets = async (tx: Tx, model: Model, sets: readonly ReplaceSet[]): Promise<Change[]> => {
  const newest = new Map<string, ReplaceSet>()
  for (const set of sets) {
    const name = JSON.stringify([set.entity, set.parent])
    const known = newest.get(name)
    if (!known || isLater(set, known)) newest.set(name, set)
  }
  if (newest.size === 0) return []
  const won = await winners(tx, [...newest.values()])
  const changes: Change[] = []
  for (const [name, group] of Map.groupBy(won, ({ entity }) => entity)) {
    const entity = entityOf(model, name)
    const kept = new Set(group.flatMap(({ rows }) => rows.map((row) => keyText(entity, row))))
    changes.push(...group.flatMap(({ rows }) => rows))
    const parent = Object.keys(group[0]!.parent)
    const column = (field: string) => ident(columnName(field))
    const rows = await tx.unsafe(
      `select p.n, ${entity.key.map((field) => `e.${column(field)} as ${ident(field)}`).join(', ')}
       from json_to_recordset($1::text::json) as p(n int, ${parent.map((field) => `${column(field)} ${columnSqlType(columnOf(entity, field))}`).join(', ')})
       join ${entityTable(entity)} e on ${parent.map((field) => `e.${column(field)} = p.${column(field)}`).join(' and ')} where not e._deleted`,
      [JSON.stringify(group.map((set, n) => ({ n, ...renamed(set.parent) })))],
    )
    for (const { n, ...key } of rows as unknown as ({ n: number } & Record<string, CellValue>)[]) {
      const set = group[n]!
      const gone: Change = {
        entity: name,
        op: 'delete',
        row: key,
        absent: [],
        version: set.version,
        eventTime: set.eventTime,
        live: false,
        position: set.position,
      }
      if (!kept.has(keyText(entity, gone))) changes.push(gone)
    }
  }
  return changes
}

const renamed = (parent: ReplaceSet['parent']): Record<string, CellValue> =>
  Object.fromEntries(Object.entries(parent).map(([field, value]) => [columnName(field), value]))

const isLater = (a: ReplaceSet, b: ReplaceSet): boolean =>
  a.version.kind === 'ordered' && b.version.kind === 'ordered' ? compareVersions(a.version, b.version) > 0 : true

/** The sets that are newer than the one their parent was last filled from; moves the memory on. */
const winners = async (tx: Tx, sets: readonly ReplaceSet[]): Promise<ReplaceSet[]> => {
  const rows = sets.map(({ entity, parent, version }, n) => ({
    n,
    entity,
    parent: JSON.stringify(Object.values(parent)),
    epoch: version.epoch,
    version: version.kind === 'ordered' ? String(version.major) : '-1',
    tie: version.kind === 'ordered' ? String(version.minor) : '0',
  }))
  const won = await tx<{ entity: string; parent: string }[]>`
    insert into forebay.documents as d (entity, parent, epoch, version, tie)
    select entity, parent, epoch, version, tie
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as x(entity text, parent text, epoch int, version bigint, tie bigint)
    order by entity, parent
    on conflict (entity, parent) do update set epoch = excluded.epoch, version = excluded.version, tie = excluded.tie
    where (d.epoch, d.version, d.tie) < (excluded.epoch, excluded.version, excluded.tie)
    returning d.entity, d.parent`
  const names = new Set(won.map(({ entity, parent }) => `${entity} ${parent}`))
  return rows.filter(({ entity, parent }) => names.has(`${entity} ${parent}`)).map(({ n }) => sets[n]!)
}
