/**
 * A `Where` as one SQL condition over a row.
 *
 * The language is two-valued, SQL three-valued. Reading SQL's null as false at the end commutes with AND and OR, so only
 * NOT needs care: `(x) is not true`. `ne`, `notIn` and equality of two fields are null-safe by themselves. The fields of a
 * to-one row that isn't there read as null.
 */

import type { CompareOp, Literal, Operand, Where } from '../condition.ts'
import type { ValueType } from '../model.ts'
import { valueSqlType } from '../names.ts'
import { literalSql } from './literal.ts'

export type SqlValue = { readonly sql: string; readonly type: ValueType; readonly list: boolean }

/** What a condition may speak of: the row's fields, the rows that its to-one joins reach, and how values are written. */
export type WhereScope = {
  column(field: string): SqlValue
  toOne(join: string): WhereScope
  /** Whether the row is there: true for the row itself, unknown for one reached by a join. */
  exists(): string
}
/** How a literal and a claim are written: as text in SQL, unless the caller binds parameters. A claim may be a list. */
export type WhereTerms = {
  literal(value: Literal, type: ValueType): string
  claim(name: string, type: ValueType, list: boolean): string
}
const asText: WhereTerms = {
  literal: literalSql,
  claim: (name) => {
    throw new Error(`the claim ${name} can only be used in @rows`)
  },
}

const operators: Partial<Record<CompareOp, string>> = {
  eq: '=',
  lt: '<',
  lte: '<=',
  gt: '>',
  gte: '>=',
  startsWith: '^@',
}

export const whereSql = (where: Where, scope: WhereScope, terms: WhereTerms = asText): string => {
  switch (where.kind) {
    case 'and':
    case 'or': {
      if (where.items.length === 0) return where.kind === 'and' ? 'true' : 'false'
      return `(${where.items.map((item) => whereSql(item, scope, terms)).join(` ${where.kind} `)})`
    }
    case 'not':
      return `(${whereSql(where.item, scope, terms)}) is not true`
    case 'join':
      return whereSql(where.where, scope.toOne(where.join), terms)
    case 'exists':
      return where.exists ? scope.toOne(where.join).exists() : `(${scope.toOne(where.join).exists()}) is not true`
    case 'compare':
      return compareSql(scope.column(where.field), where.op, where.value, scope, terms)
  }
}

const compareSql = (left: SqlValue, op: CompareOp, operand: Operand, scope: WhereScope, terms: WhereTerms): string => {
  if (op === 'isNull') return isFalse(operand) ? `${left.sql} is not null` : `${left.sql} is null`
  if (op === 'in' || op === 'notIn') {
    const among = `${left.sql} = any(${listSql(left, operand, scope, terms)})`
    return op === 'in' ? among : `(${among}) is not true`
  }
  const right = operandSql(left, operand, scope, terms)
  if (op === 'has') return `${left.sql} @> array[${right}]::${valueSqlType(left.type)}[]`
  if (op === 'ne') return `${left.sql} is distinct from ${right}`
  if (op === 'eq' && operand.kind === 'field') return `${left.sql} is not distinct from ${right}`
  return `${left.sql} ${operators[op]} ${right}`
}

const isFalse = (operand: Operand): boolean => operand.kind === 'literal' && operand.value === false

const operandSql = (left: SqlValue, operand: Operand, scope: WhereScope, terms: WhereTerms): string => {
  switch (operand.kind) {
    case 'literal':
      return terms.literal(operand.value, left.type)
    case 'field':
      return scope.column(operand.field).sql
    case 'claim':
      return terms.claim(operand.claim, left.type, false)
    case 'list':
      throw new Error('a list stands only with in and notIn')
  }
}

const listSql = (left: SqlValue, operand: Operand, scope: WhereScope, terms: WhereTerms): string => {
  if (operand.kind === 'claim') return terms.claim(operand.claim, left.type, true)
  if (operand.kind === 'field') return scope.column(operand.field).sql
  const values = operand.kind === 'list' ? operand.values : [operand.value]
  return `array[${values.map((value) => terms.literal(value, left.type)).join(', ')}]::${valueSqlType(left.type)}[]`
}
