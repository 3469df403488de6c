/**
 * Entities whose rows are the elements of an array in a record: a record replaces the rows that its parent had before. Which
 * record that was is remembered per parent, so that an older one that comes late brings nothing back.
 */
import { answerSql } from '../../model/answer-sql.ts'
import type { Model } from '../../model/model.ts'
import { columnName, columnSqlType, entityTable, ident } from '../../model/names.ts'
import { columnOf, entityOf } from '../../model/row-scope.ts'
import type { CellValue, Change, ReplaceSet } from '../change.ts'
import type { Tx } from './fence.ts'
import { compareVersions, keyText } from './fold.ts'

/** The changes that the newest record of each parent means: its elements, and a delete for every row that is no longer one. */
export const resolveSets = async (tx: Tx, model: Model, sets: readonly ReplaceSet[]): Promise<Change[]> => {
  const newest = new Map<string, ReplaceSet>()
  for (const layer of layersOf(sets)) for (const set of await winners(tx, layer)) newest.set(nameOf(set), set)
  const changes: Change[] = []
  for (const [name, group] of Map.groupBy(newest.values(), ({ entity }) => entity)) {
    const entity = entityOf(model, name)
    const kept = new Set(group.flatMap(({ rows }) => rows.map((row) => keyText(entity, row))))
    changes.push(...group.flatMap(({ rows }) => rows))
    const parent = Object.keys(group[0]!.parent)
    const column = (field: string) => ident(columnName(field))
    const rows = await tx.unsafe(
      `select p.n, ${entity.key.map((field) => `${answerSql(`e.${column(field)}`, columnOf(entity, field).type)} as ${ident(field)}`).join(', ')}
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

const nameOf = ({ entity, parent }: ReplaceSet): string => JSON.stringify([entity, parent])

/** In each at most one set of a parent. One without a version can't be compared, so it and what follows it take further layers. */
const layersOf = (sets: readonly ReplaceSet[]): readonly ReplaceSet[][] => {
  const layers: Map<string, ReplaceSet>[] = []
  const last = new Map<string, number>()
  for (const set of sets) {
    const name = nameOf(set)
    const at = last.get(name)
    const known = at === undefined ? undefined : layers[at]!.get(name)!
    if (at !== undefined && known?.version.kind === 'ordered' && set.version.kind === 'ordered') {
      if (compareVersions(set.version, known.version) > 0) layers[at]!.set(name, set)
      continue
    }
    const layer = at === undefined ? 0 : at + 1
    layers[layer] ??= new Map()
    layers[layer].set(name, set)
    last.set(name, layer)
  }
  return layers.map((layer) => [...layer.values()])
}

/**
 * The sets that are newer than the one their parent was last filled from; moves the memory on. One without a version is newer than
 * all that came before it in the log, and leaves the remembered version.
 */
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
    on conflict (entity, parent) do update set
      epoch = case when excluded.version = -1 then d.epoch else excluded.epoch end,
      version = case when excluded.version = -1 then d.version else excluded.version end,
      tie = case when excluded.version = -1 then d.tie else excluded.tie end
    where excluded.version = -1 or (d.epoch, d.version, d.tie) < (excluded.epoch, excluded.version, excluded.tie)
    returning d.entity, d.parent`
  const names = new Set(won.map(({ entity, parent }) => `${entity} ${parent}`))
  return rows.filter(({ entity, parent }) => names.has(`${entity} ${parent}`)).map(({ n }) => sets[n]!)
}
