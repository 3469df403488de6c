/**
 * The fields of a view or part as SQL over one row.
 *
 * A shape is read in two layers: `base` selects every field that comes from tables, under its name in lower case, and each @expr
 * is a lateral over those names, so that its SQL stands verbatim. So is a field that is shown by a condition (@allow(when:)): what reads it, and
 * the table, know it as it is shown. A row in which a non-null field is null (something promised has
 * not arrived) is withheld: `complete` says so, `incomplete` says that something inside was.
 */

import type { Where } from '../condition.ts'
import type { Field, Part, ValueType } from '../model.ts'
import { ident, valueSqlType } from '../names.ts'
import { readsOf } from '../reads.ts'
import { aggregateLaterals } from './aggregate.ts'
import { answerListSql, answerSql } from './answer.ts'
import { bucketSql } from './bucket.ts'
import { partOf, type Shape, shapeObject } from './compiled-shape.ts'
import { listLateral } from './list.ts'
import type { Reach } from './reach.ts'
import { type Compilation, columnOf, type RowScope } from './row-scope.ts'
import { type SqlValue, whereSql } from './where.ts'

type Base = {
  readonly sql: string
  readonly sqlType: string
  readonly answer: (sql: string) => string
  readonly sure?: boolean
}

const asIs = (sql: string): string => sql
export const outputName = (field: string): string => ident(field.toLowerCase())

/** `members`: in a grouped view, opens the rows of the group as a subquery's start; `around`: its fields, what it groups by included. */
export const compileShape = (
  compilation: Compilation,
  fields: readonly Field[],
  row: RowScope,
  from: string[],
  members?: () => Reach,
  around: readonly Field[] = fields,
): Shape => {
  const flags: string[] = []
  const bases = new Map<string, Base>()
  for (const [field, sql] of aggregateLaterals(compilation, fields, row, from, members)) {
    bases.set(field.name, {
      sql,
      sqlType: valueSqlType(scalarOf(field)),
      answer: (x) => answerSql(x, scalarOf(field)),
      sure: isNeverNull(field),
    })
  }
  for (const field of fields) {
    const base = baseOf(compilation, field, row, from, flags)
    if (base) bases.set(field.name, base)
  }

  const names = new Map(fields.map(({ name, allow }, i) => [name, allow?.when ? `"_unshown${i}"` : outputName(name)]))
  const select = [...bases].map(([name, base]) => `${base.sql} as ${names.get(name)}`)
  flags.forEach((flag, i) => {
    select.push(`${flag} as "_incomplete${i}"`)
  })
  const exprs = inOrder(fields).map((field) => {
    const base = bases.get(field.name)
    const { value } = field
    const type = base?.sqlType ?? valueSqlType(scalarOf(field))
    const sql = value.kind === 'expr' ? `(${value.sql}\n)::${type}` : names.get(field.name)!
    const shown = field.allow?.when ? shownSql(field, sql, type, field.allow.when, around) : sql
    return `cross join lateral (select ${shown} as ${outputName(field.name)}) ${compilation.alias()}`
  })
  return {
    select,
    exprs,
    complete: fields
      .filter((field) => field.nonNull && !bases.get(field.name)?.sure)
      .map((field) => `${outputName(field.name)} is not null`),
    incomplete: flags.length ? flags.map((_, i) => `coalesce("_incomplete${i}", false)`).join(' or ') : 'false',
    outputs: fields.map((field) => {
      const base = bases.get(field.name)
      const type = base?.sqlType ?? valueSqlType(scalarOf(field))
      const answer = base?.answer ?? ((sql: string) => answerSql(sql, scalarOf(field)))
      return { field, sql: outputName(field.name), sqlType: type, answer }
    }),
  }
}

export const scalarOf = (field: Field): ValueType => {
  if (field.type.kind === 'part') throw new Error(`${field.name} is a part, not a scalar`)
  return field.type
}

/** A count, or a sum that is no Long, which alone can be beyond what its type holds. What may be null makes a list read all that it could show. */
const isNeverNull = (field: Field): boolean =>
  field.value.kind === 'aggregate' &&
  (field.value.fn === 'count' || (field.value.fn === 'sum' && valueSqlType(scalarOf(field)) !== 'bigint'))

const baseOf = (
  compilation: Compilation,
  field: Field,
  row: RowScope,
  from: string[],
  flags: string[],
): Base | null => {
  const { value } = field
  switch (value.kind) {
    case 'aggregate':
    case 'expr':
      return null
    case 'path': {
      const owner = row.walk(value.joins)
      const { sql, type, list } = owner.column(value.column)
      const column = columnOf(owner.entity, value.column)
      return {
        sql: value.bucket ? bucketSql(sql, value.bucket) : sql,
        sqlType: valueSqlType(type) + (list ? '[]' : ''),
        answer: (x) => (list ? answerListSql(x, type) : answerSql(x, type)),
        sure: value.joins.length === 0 && column.nonNull,
      }
    }
    case 'part': {
      const target = row.walk(value.joins)
      const lateral = partLateral(compilation, partOf(compilation, value.part), target)
      const alias = compilation.alias()
      from.push(`left join lateral (${lateral.sql}) ${alias} on true`)
      if (lateral.withholds) flags.push(`(${target.exists()} and ${alias}.e is null or ${alias}.incomplete)`)
      else flags.push(`${alias}.incomplete`)
      return { sql: `${alias}.e`, sqlType: 'jsonb', answer: asIs }
    }
    case 'list':
    case 'first': {
      const lateral = listLateral(compilation, value, row, compileShape)
      const alias = compilation.alias()
      from.push(`left join lateral (${lateral.sql}) ${alias} on true`)
      if (lateral.incomplete) flags.push(`${alias}.incomplete`)
      const json = value.kind === 'list' || value.part !== undefined
      return {
        sql: value.kind === 'list' ? `coalesce(${alias}.v, '[]')` : `${alias}.v`,
        sqlType: json ? 'jsonb' : valueSqlType(scalarOf(field)),
        answer: json ? asIs : (x) => answerSql(x, scalarOf(field)),
        sure: value.kind === 'list',
      }
    }
  }
}

const partLateral = (compilation: Compilation, part: Part, target: RowScope): { sql: string; withholds: boolean } => {
  const from: string[] = []
  const shape = compileShape(compilation, part.fields, target.within(from), from)
  const base = `select ${shape.select.join(', ')} from (values (1)) one ${from.join(' ')} where ${target.exists()}`
  const where = shape.complete.length ? ` where ${shape.complete.join(' and ')}` : ''
  return {
    sql: `select ${shapeObject(shape)} as e, ${shape.incomplete} as incomplete from (${base}) b ${shape.exprs.join(' ')}${where}`,
    withholds: shape.complete.length > 0,
  }
}

/** Null, or an empty list, where the condition doesn't hold. */
const shownSql = (field: Field, sql: string, sqlType: string, when: Where, fields: readonly Field[]): string => {
  const column = (name: string): SqlValue => {
    const read = fields.find((candidate) => candidate.name === name)!
    return { sql: outputName(name), type: scalarOf(read), list: read.list }
  }
  const condition = whereSql(when, { column, toOne: ownFields, exists: ownFields })
  const otherwise = !field.list ? '' : sqlType === 'jsonb' ? ` else '[]'::jsonb` : ` else '{}'::${sqlType}`
  return `case when ${condition} then ${sql}${otherwise} end`
}
const ownFields = (): never => {
  throw new Error('a field is shown by fields of its own row')
}

/** What is computed from other fields, or shown by them, after those. The checker has refused cycles. */
const inOrder = (fields: readonly Field[]): readonly Field[] => {
  const ordered: Field[] = []
  const placed = new Set<string>()
  const place = (field: Field): void => {
    if ((field.value.kind !== 'expr' && !field.allow?.when) || placed.has(field.name)) return
    placed.add(field.name)
    const reads = readsOf(field)
    fields.filter(({ name }) => reads.includes(name)).forEach(place)
    ordered.push(field)
  }
  fields.forEach(place)
  return ordered
}
