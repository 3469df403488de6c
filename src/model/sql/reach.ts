/** The rows that a path with to-many joins reaches, as the FROM and WHERE of a subquery. */

import { columnName, entityTable, ident } from '../names.ts'
import { lookup } from './key.ts'
import { type Compilation, entityOf, joinOf, matchSql, openRow, type RowScope } from './row-scope.ts'

/**
 * `row` is the row of the last to-many join; joins asked of it go into this subquery's FROM. `found`: the fields by which an index finds
 * those rows, and could have them in order; absent where they are found from row to row.
 */
export type Reach = {
  readonly row: RowScope
  readonly from: string[]
  readonly where: string[]
  readonly found?: readonly string[]
}

/**
 * Walks `joins` from `start`. Leading to-one joins stay in the caller's FROM clause; the subquery begins at the first to-many
 * join, unless `opened` says that it has begun already (the members of a group). `first`: the first rows in an order are wanted
 * that begins with the row's own fields.
 */
export const reachRows = (
  compilation: Compilation,
  start: RowScope,
  joins: readonly string[],
  opened?: Reach,
  first = false,
): Reach => {
  let reach = opened
  let row = opened?.row ?? start
  for (const [i, name] of joins.entries()) {
    const join = joinOf(row.entity, name)
    if (!join.many) {
      row = row.toOne(name)
      continue
    }
    const target = entityOf(compilation.model, join.target)
    const alias = compilation.alias()
    const from: string[] = reach ? reach.from : []
    const where: string[] = reach ? reach.where : []
    const match = join.from.map((name, at) => `${alias}.${ident(columnName(join.to[at]!))} = ${row.column(name).sql}`)
    const direct = first && !reach && i === joins.length - 1
    const table = entityTable(target)
    from.push(reach ? lookup(table, alias, [...match, `${alias}._live`]) : `${table} ${alias}`)
    const next = openRow(compilation, target, alias, [...row.steps, join], from)
    where.push(...matchSql(row, next, join, direct))
    row = next
    reach = { row, from, where, ...(direct ? { found: join.to } : {}) }
  }
  if (!reach) throw new Error(`${start.entity.name}: ${joins.join('.')} has no to-many join`)
  return { ...reach, row }
}

export const fromSql = (reach: Reach, conditions: readonly string[] = []): string => {
  const where = [...reach.where, ...conditions]
  return `from ${reach.from.join(' ')}${where.length ? ` where ${where.join(' and ')}` : ''}`
}
