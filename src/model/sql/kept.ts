/**
 * What is kept beside one view: rollups and parts, found while its fields are compiled, so that each is kept exactly where it is read.
 *
 * A path over one to-many join is totals of the joined rows by the columns they are found by. A longer one nests: what a customer's
 * orders' lines come to is the total of what each order's lines come to, so that an order that moves takes its lines with it at once, and a
 * line moves two totals, however many lines there are.
 */
import type { Window } from '../event-time.ts'
import type { Entity, Join, Model } from '../model.ts'
import { columnName, columnSqlType, entityTable, ident, valueSqlType } from '../names.ts'
import { expiry } from './expiry.ts'
import { isDeep, type KeptPart, keptPart, type PartSql } from './kept-part.ts'
import { keyValue, lookup } from './key.ts'
import { membersTable, type RollupSql, rawGroup, rollupSql, sumsTable } from './rollup.ts'
import { countedValue } from './rollup-distinct.ts'
import { extremeLateral, extremeSql, type GroupMatch, isExtreme } from './rollup-extreme.ts'
import type { RollupColumn } from './rollup-parts.ts'
import {
  type Addend,
  type Compilation,
  columnOf,
  entityOf,
  isTenanted,
  joinOf,
  type Keep,
  openRow,
  pathId,
  type RowScope,
  startCompilation,
  tenantImplied,
} from './row-scope.ts'
import { whereSql } from './where.ts'
import { timeColumns } from './window.ts'

/** What is kept, read at the end of `steps` from the root of whoever reads it. */
export type Feed = { readonly steps: readonly Join[]; readonly kept: Kept }

/** `entity`: the rows that are counted, or that have the part's shape. */
export type Kept = {
  /** `Order.lines`; of a longer path `Customer.orders>lines`; of a part its name. The same in every compilation of the view. */
  readonly id: string
  readonly entity: Entity
  readonly compilation: Compilation
  sql(): { readonly rollup: RollupSql } | { readonly part: PartSql }
}
/** `sums`: its table of totals, quoted, `members`: that of what each row adds. `column`: the one that holds an addend; made when it is first asked for. */
export type Rollup = Kept & { readonly sums: string; readonly members: string; column(addend: Addend): RollupColumn }

export type KeptBeside = {
  readonly keep: Keep
  /** In the order they were found. */
  readonly all: ReadonlyMap<string, Kept>
  /** What each compilation reads, by path. */
  feeds(of: Compilation): ReadonlyMap<string, Feed>
  add(kept: Kept): void
  /** Of the rows that a to-many join reaches, by group and by the steps of their time; nobody is told of groups that move. */
  timed(model: Model, parent: RowScope, join: Join, window: Window): Rollup
}

/** `name`: the view's table. */
export const startKeeping = (name: string): KeptBeside => {
  const all = new Map<string, Kept>()
  const rollups = new Map<string, Rollup>()
  const read = new Map<Compilation, Map<string, Feed>>()
  /** Of those by steps, the longest window that reads them. */
  const longest = new Map<string, number>()
  const laterals = new WeakMap<readonly string[], Map<string, string>>()
  let made = 0
  const next = (): string => `${name}_${++made}`
  const feed = (compilation: Compilation, steps: readonly Join[], kept: Kept): void => {
    const feeds = read.get(compilation) ?? new Map<string, Feed>()
    read.set(compilation, feeds)
    feeds.set(`${pathId(steps)} ${kept.id}`, { steps, kept })
  }

  const total: Keep['total'] = (compilation, row, from, addend) => {
    if (addend.many < 0) return ownAddend(row, addend)
    const at = addend.joins.findIndex((join, i) => {
      const owner = row.walk(addend.joins.slice(0, i))
      return joinOf(owner.entity, join).many
    })
    const parent = row.walk(addend.joins.slice(0, at))
    const join = joinOf(parent.entity, addend.joins[at]!)
    const rollup = rollupOf(compilation, parent, join, addend.joins.slice(at + 1, addend.many + 1))
    const column = rollup.column({ ...addend, joins: addend.joins.slice(at + 1), many: addend.many - at - 1 })
    feed(compilation, [...parent.steps, join], rollup)
    if (isExtreme(addend)) {
      const group = groupMatch(parent, rollup.entity, join)
      return extremeLateral(compilation, from, extremeSql(addend.of, rollup.members, group, column))
    }

    // One lookup of a group serves all that is read of it.
    const known = laterals.get(from) ?? new Map<string, string>()
    laterals.set(from, known)
    const place = `${parent.alias} ${rollup.id}`
    const alias = known.get(place) ?? compilation.alias()
    if (!known.has(place)) {
      known.set(place, alias)
      from.push(
        `left join lateral (select s.* from ${rollup.sums} s where ${onGroup('s', parent, rollup.entity, join).join(' and ')} offset 0) ${alias} on true`,
      )
    }
    return `coalesce(${alias}.${ident(column.name)}, 0)`
  }

  const joined = (id: string, rollup: Rollup): Rollup => {
    rollups.set(id, rollup)
    all.set(id, rollup)
    return rollup
  }
  const rollupOf = (compilation: Compilation, parent: RowScope, join: Join, below: readonly string[]): Rollup => {
    const id = `${parent.entity.name}.${join.name}${below.map((step) => `>${step}`).join('')}`
    const known = rollups.get(id)
    if (known) return known
    return joined(id, joinedRollup(compilation.model, parent.entity, join, id, next(), keep))
  }

  const part: Keep['part'] = (compilation, row, part) => {
    if (!isDeep(compilation, part)) return undefined
    const id = `part ${part.name}`
    const known = parts.get(id) ?? keptPart(compilation.model, part, id, next(), keep)
    parts.set(id, known)
    all.set(id, known)
    feed(compilation, row.steps, known)
    return known
  }
  const parts = new Map<string, KeptPart>()
  const keep: Keep = { total, part }
  return {
    keep,
    all,
    feeds: (of) => read.get(of) ?? new Map(),
    add: (kept) => all.set(kept.id, kept),
    timed: (model, { entity }, join, window) => {
      const id = `${entity.name}.${join.name}@${[...window.joins, window.column].join('.')}/${window.stepMs}`
      longest.set(id, Math.max(window.lastMs, longest.get(id) ?? 0))
      const timed = { window, lastMs: () => longest.get(id)! }
      return rollups.get(id) ?? joined(id, joinedRollup(model, entity, join, id, next(), keep, timed))
    },
  }
}

/** Finds the group that `parent` reaches by `join`: of sums or of members. */
export const onGroup = (alias: string, parent: RowScope, entity: Entity, join: Join): readonly string[] => {
  const { columns, values } = groupMatch(parent, entity, join)
  return columns.map((name, i) => `${alias}.${name} = ${values[i]}`)
}
const groupMatch = (parent: RowScope, entity: Entity, join: Join): GroupMatch => {
  const tenanted = byTenant(parent.entity, entity, join)
  return {
    columns: [...join.from.map((_, i) => `"g${i}"`), ...(tenanted ? ['"gt"'] : [])],
    values: [
      ...join.from.map((name) => parent.column(name).sql),
      ...(tenanted ? [`${parent.tenant()!.sql}::text`] : []),
    ],
  }
}

/** Tenants are part of the group unless one side takes its tenant from the other over this very join (C9). */
const byTenant = (parent: Entity, child: Entity, join: Join): boolean =>
  isTenanted(parent) && isTenanted(child) && !tenantImplied(parent, child, join)

const ownAddend = (row: RowScope, { of, joins, column, where }: Addend): string => {
  const conditions = where ? [whereSql(where, row)] : []
  if (of === 'rows') return conditions.length ? `case when ${conditions[0]} then 1 else 0 end` : '1'
  const { sql, type } = row.walk(joins).column(column!)
  if (of === 'distinct') {
    const value = countedValue(sql, valueSqlType(type))
    return conditions.length ? `case when ${conditions[0]} then ${value} end` : value
  }
  if (isExtreme({ of })) return conditions.length ? `case when ${conditions[0]} then ${sql} end` : sql
  if (of === 'values') return `case when ${[...conditions, `${sql} is not null`].join(' and ')} then 1 else 0 end`
  return conditions.length ? `case when ${conditions[0]} then coalesce(${sql}, 0) else 0 end` : `coalesce(${sql}, 0)`
}

/** Counts and sums of Int fit 64 bits; sums of Long may not. */
const addendType = (row: RowScope, { of, joins, column }: Addend, entityAt: (name: string) => Entity): string => {
  if (of === 'rows' || of === 'values') return 'bigint'
  const owner = joins.reduce((entity, name) => entityAt(joinOf(entity, name).target), row.entity)
  const type = columnSqlType(columnOf(owner, column!))
  if (of === 'distinct' || isExtreme({ of })) return type
  return type === 'integer' ? 'bigint' : 'numeric'
}

/** Columns for addends over one counted row, each made once. */
export const addendColumns = (compilation: Compilation, row: RowScope, from: string[], keep: Keep) => {
  const columns = new Map<string, RollupColumn>()
  return {
    column(addend: Addend): RollupColumn {
      const { of, joins, many, column, where } = addend
      const extreme = isExtreme(addend)
      // Of a row's own value, the least and the greatest are one.
      const id = JSON.stringify([extreme && many < 0 ? 'value' : of, joins, many, column, where])
      const known = columns.get(id)
      if (known) return known
      const sqlType = addendType(row, addend, (name) => entityOf(compilation.model, name))
      const made = {
        name: `v${columns.size}`,
        sqlType,
        sql: keep.total(compilation, row, from, addend),
        ...(of === 'distinct' ? { distinct: true } : {}),
        ...(extreme ? { extreme } : {}),
      }
      columns.set(id, made)
      return made
    },
    all: (): readonly RollupColumn[] => [...columns.values()],
  }
}

const joinedRollup = (
  model: Model,
  parent: Entity,
  join: Join,
  id: string,
  name: string,
  keep: Keep,
  timed?: { readonly window: Window; readonly lastMs: () => number },
): Rollup => {
  const entity = entityOf(model, join.target)
  const compilation = startCompilation(model, keep)
  const from: string[] = []
  const row = openRow(compilation, entity, 'r', [], from)
  const found = join.to.map((column) => columnOf(entity, column))
  const time = timed && timeColumns(row, timed.window)
  const steps = timed && expiry(name, timed.window.stepMs, timed.lastMs)
  const group: readonly RollupColumn[] = [
    ...found.map((column, i) => ({
      name: `g${i}`,
      sqlType: columnSqlType(column),
      sql: row.column(column.name).sql,
    })),
    ...(byTenant(parent, entity, join) ? [{ name: 'gt', sqlType: 'text', sql: `${row.tenant()!.sql}::text` }] : []),
    ...(time ? [time.bucket] : []),
  ]
  const own = time ? [time.at] : []
  const key = entity.key.map((field) => columnOf(entity, field))
  const values = addendColumns(compilation, row, from, keep)
  const sql = () => ({
    rollup: rollupSql({
      name,
      key,
      group,
      carried: [],
      values: values.all(),
      own,
      raw: rawGroup(
        [...found, ...(time ? [time.column] : [])],
        [...found.map((_, i) => `g${i}`), ...(time ? [time.bucket.name] : [])],
      ),
      onRaw: [
        ...found.map((column, i) => `s."g${i}" = ${keyValue('v.value', i, column)}`),
        ...(time ? [`s.${ident(time.bucket.name)} = ${keyValue('v.value', found.length, time.column)}`] : []),
      ],
      groups: {
        key: found.map((as, i) => ({ column: `g${i}`, as })),
        roots: {
          table: entityTable(entity),
          key: found.map((column) => columnName(column.name)),
          where: ['_live', ...found.map((column) => `${ident(columnName(column.name))} is not null`)].join(' and '),
        },
        members: `${lookup(entityTable(entity), 'r', [
          ...found.map((column, i) => `r.${ident(columnName(column.name))} = k.k${i}`),
          'r._live',
        ])} ${lookup(
          membersTable(name),
          'm',
          key.map((column, i) => `m.k${i} = r.${ident(columnName(column.name))}`),
        )}`,
      },
      table: entityTable(entity),
      read: false,
      indexed: time !== undefined,
      ...(steps ? { expiry: steps } : {}),
      select: (source) => {
        const columns = [
          ...key.map((column, i) => `r.${ident(columnName(column.name))} as k${i}`),
          ...[...group, ...own, ...values.all()].map((column) => `${column.sql} as ${ident(column.name)}`),
        ]
        const conditions = [
          'r._live',
          ...(time && steps ? [time.counts, steps.kept(`(${time.bucket.sql})`)] : []),
          ...group.map((column) => `${column.sql} is not null`),
        ]
        return `select ${columns.join(', ')} from ${source} ${from.join(' ')} where ${conditions.join(' and ')}`
      },
    }),
  })
  const [sums, members] = [sumsTable(name), membersTable(name)]
  return { id, entity, compilation, sums, members, column: values.column, sql }
}
