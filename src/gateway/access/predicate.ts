/** The conditions that every statement carries: the reader's tenant, the row rules of its roles, and what it asks for. */

import type { Literal, Where } from '../../model/condition.ts'
import type { RowRule, ScalarName, ValueType, View } from '../../model/model.ts'
import { columnName, ident, valueSqlType } from '../../model/names.ts'
import { type WhereScope, type WhereTerms, whereSql } from '../../model/sql/where.ts'
import type { ViewTable } from '../../model/view-table.ts'
import { parseDate, parseDateTime, parseDecimal, parseLong } from '../schema/scalars.ts'
import type { ViewVerdict } from './verdict.ts'

export type Claims = Readonly<Record<string, unknown>>

/** Parameters of one statement. Every value goes in as text and is cast in SQL, so that no driver touches its digits. */
export type Binder = {
  readonly values: readonly (string | null)[]
  bind(value: string | null, sqlType: string): string
}
export const binder = (): Binder => {
  const values: (string | null)[] = []
  return {
    values,
    bind: (value, sqlType) => `$${values.push(value)}::text${sqlType === 'text' ? '' : `::${sqlType}`}`,
  }
}
const scopeOf = (view: View): WhereScope => ({
  column: (name) => {
    const field = view.fields.find((candidate) => candidate.name === name)
    if (!field || field.type.kind === 'part') throw new Error(`${view.name}.${name} can't stand in a condition`)
    return { sql: `r.${ident(columnName(name))}`, type: field.type, list: field.list }
  },
  toOne: (join) => {
    throw new Error(`a condition on ${view.name} can't follow ${join}: it speaks of the row's own fields`)
  },
  exists: () => 'true',
})

const terms = (binder: Binder): WhereTerms => ({
  literal: (value, type) => binder.bind(value === null ? null : String(value), valueSqlType(type)),
  claim: (name) => {
    throw new Error(`the claim ${name} was not bound`)
  },
})

export const conditionSql = (view: View, where: Where, binder: Binder): string =>
  whereSql(where, scopeOf(view), terms(binder))

// ── claims ──────────────────────────────────────────────────────────────────────────────────────────────────────────
const canonical: Partial<Record<ScalarName, (text: string) => string | undefined>> = {
  Long: parseLong,
  Decimal: parseDecimal,
  Date: parseDate,
  DateTime: parseDateTime,
  Int: (text) => (/^-?\d{1,10}$/.test(text) && Number(text) === (Number(text) | 0) ? text : undefined),
  Boolean: (text) => (text === 'true' || text === 'false' ? text : undefined),
  Float: (text) => (text !== '' && Number.isFinite(Number(text)) ? text : undefined),
}
/** Text as a value of the type, or undefined where Postgres could not read it as one. */
export const literalOf = (text: string, type: ValueType): string | undefined => {
  if (text.includes('\0')) return undefined
  const parse = type.kind === 'scalar' ? canonical[type.scalar] : undefined
  return parse ? parse(text) : text
}
const claimLiteral = (value: unknown, type: ValueType): Literal | undefined =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? literalOf(String(value), type)
    : undefined

/**
 * A row rule with the token's claims put in. A comparison with an absent or unfit claim matches nothing, also below `not`: there it
 * becomes true, so that its negation isn't.
 */
const bindClaims = (where: Where, view: View, claims: Claims, negated = false): Where => {
  const nothing: Where = { kind: negated ? 'and' : 'or', items: [] }
  switch (where.kind) {
    case 'and':
    case 'or':
      return { kind: where.kind, items: where.items.map((item) => bindClaims(item, view, claims, negated)) }
    case 'not':
      return { kind: 'not', item: bindClaims(where.item, view, claims, !negated) }
    case 'join':
    case 'exists':
      return nothing
    case 'compare': {
      if (where.value.kind !== 'claim') return where
      const type = view.fields.find(({ name }) => name === where.field)?.type
      const value = Object.hasOwn(claims, where.value.claim) ? claims[where.value.claim] : undefined
      if (!type || type.kind === 'part') return nothing
      if (where.op !== 'in' && where.op !== 'notIn') {
        const literal = claimLiteral(value, type)
        return literal === undefined ? nothing : { ...where, value: { kind: 'literal', value: literal } }
      }
      const given = Array.isArray(value) ? value : value === undefined ? undefined : [value]
      const values = given?.map((item) => claimLiteral(item, type))
      if (!values || values.some((item) => item === undefined)) return nothing
      return { ...where, value: { kind: 'list', values: values as Literal[] } }
    }
  }
}

const ruleSql = (view: View, rule: RowRule, claims: Claims, binder: Binder): string[] => [
  ...(rule.where ? [conditionSql(view, bindClaims(rule.where, view, claims), binder)] : []),
  ...(rule.minGroup === undefined ? [] : [`r._members >= ${rule.minGroup}`]),
]

const claimNames = (where: Where): readonly string[] => {
  switch (where.kind) {
    case 'and':
    case 'or':
      return where.items.flatMap(claimNames)
    case 'not':
      return claimNames(where.item)
    case 'join':
      return claimNames(where.where)
    case 'exists':
      return []
    case 'compare':
      return where.value.kind === 'claim' ? [where.value.claim] : []
  }
}
/** What the row rules look at of a token. */
export const ruleClaims = ({ classes }: ViewVerdict, claims: Claims): Claims =>
  Object.fromEntries(
    classes
      .flatMap(({ rules }) => rules.flatMap(({ where }) => (where ? claimNames(where) : [])))
      .flatMap((name) => (Object.hasOwn(claims, name) ? [[name, claims[name]] as const] : [])),
  )

/** For each row class the condition of the rows it may see; every rule binds. */
export const classConditions = (verdict: ViewVerdict, claims: Claims, binder: Binder): readonly string[] =>
  verdict.classes.map(
    ({ rules }) => rules.flatMap((rule) => ruleSql(verdict.view, rule, claims, binder)).join(' and ') || 'true',
  )

/** The reader's tenant: undefined where the view has one and the token doesn't say it, so nothing may be seen. */
export const tenantOf = (table: ViewTable, claims: Claims): string | null | undefined => {
  if (!table.tenanted) return null
  const claim = table.claim !== undefined && Object.hasOwn(claims, table.claim) ? claims[table.claim] : undefined
  if (typeof claim === 'number') return String(claim)
  return typeof claim === 'string' && claim !== '' && !claim.includes('\0') ? claim : undefined
}
