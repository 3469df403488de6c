/**
 * The independent judge of law 1: what every view must hold, computed from the sources' rows by the language's descriptions.
 * Nothing here was taken from the engine's SQL, and nothing here is fast.
 */
import type { CellValue } from '../../src/ingest/change.ts'
import type { Where } from '../../src/model/condition.ts'
import type { Column, Entity, Field, Model, View } from '../../src/model/model.ts'
import { aggregate } from './aggregate.ts'
import { bucketStart } from './bucket.ts'
import { holds, spokenOf } from './condition.ts'
import { formatDecimal, parseDecimal } from './decimal.ts'
import { evaluate, type Value } from './expression.ts'
import { isLeft } from './retention-arbitrary.ts'
import { columnOf, entityOf, joinOf, type Row, type Seen, type SourceRows } from './seen.ts'
import { type Answer, cellAnswer } from './values.ts'
import { isRolling, isWithin } from './window.ts'
import { buildWorld, follow, inOrder, type World as Rows, satisfies } from './world.ts'

/** `now`: the moment at which the rows are asked for; without one, fields that depend on it are left out. */
type World = Rows & { readonly now?: string }

export type Values = Readonly<Record<string, Answer>>
/**
 * `incomplete`: whether something that was promised and not there is missing from the values. `either`: something is missing
 * only from what was looked through on the way (past a list's limit, or in an aggregate), of which the language says nothing.
 */
export type ViewRow = {
  readonly tenant: string | null
  /** What a caller asks by, whose tenant is known. */
  readonly key: readonly Answer[]
  readonly values: Values
  readonly incomplete: 'yes' | 'no' | 'either'
  /** Of a group. */
  readonly members?: number
}

/** What was missed while one row was computed. */
type Missed = { shown: boolean; passed: boolean }
const nothing = (): Missed => ({ shown: false, passed: false })

export const viewRows = (model: Model, declared: View, source: SourceRows, now?: string): readonly ViewRow[] => {
  const world: World = { ...buildWorld(model, source), ...(now === undefined ? {} : { now }) }
  const { fields } = declared
  const view = now === undefined ? { ...declared, fields: fields.filter((one) => !isRolling(fields, one)) } : declared
  const members = (world.seen.get(view.of) ?? []).filter((row) => !view.where || satisfies(world, row, view.where))
  const rows = view.groupBy
    ? groupedRows(world, view, view.groupBy, members)
    : members.flatMap((row) => plainRow(world, view, row))
  return rows.filter(({ values }) => isLeft(view, values))
}

const plainRow = (world: World, view: View, root: Seen): readonly ViewRow[] => {
  const missed = nothing()
  const values = evaluateFields(world, view.fields, [root], missed)
  if (!values) return []
  const { key: names, tenant } = root.entity
  const asked = names.filter((name) => tenant.kind !== 'COLUMN' || tenant.column !== name)
  const key = asked.map((name) => cellAnswer(columnOf(root.entity, name), root.row[name]))
  return [{ tenant: root.tenant, key, values, incomplete: verdict(missed) }]
}

const groupedRows = (
  world: World,
  view: View,
  groupBy: readonly string[],
  members: readonly Seen[],
): readonly ViewRow[] => {
  const keyFields = view.fields.filter((field) => groupBy.includes(field.name))
  const groups = new Map<string, Seen[]>()
  for (const member of members) {
    const key = JSON.stringify([
      member.tenant,
      keyFields.map((field) => evaluateField(world, field, [member], nothing()).answer),
    ])
    groups.set(key, [...(groups.get(key) ?? []), member])
  }
  return [...groups.values()].flatMap((group): readonly ViewRow[] => {
    const missed = nothing()
    const values = evaluateFields(world, view.fields, group, missed)
    if (!values) return []
    return [
      {
        tenant: group[0]!.tenant,
        key: groupBy.map((name) => values[name]!),
        values,
        incomplete: verdict(missed),
        members: group.length,
      },
    ]
  })
}

const verdict = ({ shown, passed }: Missed): ViewRow['incomplete'] => (shown ? 'yes' : passed ? 'either' : 'no')

/** The fields of a row, or of a group whose members share what is not aggregated; undefined: withheld. */
const evaluateFields = (
  world: World,
  fields: readonly Field[],
  rows: readonly Seen[],
  missed: Missed,
): Values | undefined => {
  const values: Record<string, Answer> = {}
  let withheld = false
  for (const field of fields) {
    if (field.value.kind === 'expr') continue
    const { answer, absent } = evaluateField(world, field, rows, missed)
    if (absent && field.nonNull && !field.allow?.when) withheld = true
    values[field.name] = answer
  }
  if (withheld) return undefined
  const byName = new Map(fields.map((field) => [field.name, field]))
  const judged = new Set<string>()
  const resolve = (name: string): Answer => {
    const field = byName.get(name)!
    if (field.value.kind === 'expr' && !(name in values)) {
      const inputs = field.value.inputs.map((input): [string, Value] => [
        input.toLowerCase(),
        operand(byName.get(input)!, resolve(input)),
      ])
      values[name] = exprAnswer(field, evaluate(field.value.sql, new Map(inputs)))
    }
    const when = field.allow?.when
    if (when && !judged.has(name)) {
      judged.add(name)
      const read = spokenOf(when).map((input) => [input, resolve(input)] as const)
      if (!shownBy(fields, Object.fromEntries(read), when)) values[name] = field.list ? [] : null
    }
    return values[name]!
  }
  for (const field of fields) resolve(field.name)
  return fields.some(({ name, nonNull, allow }) => allow?.when && nonNull && values[name] === null) ? undefined : values
}

/** A condition over what a row shows, read as one over an entity's columns. */
const shownBy = (fields: readonly Field[], values: Values, when: Where): boolean => {
  const columns = fields.map(({ name, type, list }) => ({ name, type, list }) as Column)
  const entity = { name: '', columns } as unknown as Entity
  return holds({ entity, row: values as Row, tenant: null }, when, () => {
    throw new Error('a field is shown by fields of its own row')
  })
}

const numeric = new Set(['Int', 'Long', 'Decimal'])
const operand = (field: Field, answer: Answer): Value => {
  if (answer === null || typeof answer === 'boolean') return answer
  return field.type.kind === 'scalar' && numeric.has(field.type.scalar) ? parseDecimal(String(answer)) : String(answer)
}
const exprAnswer = (field: Field, value: Value): Answer => {
  if (value === null || typeof value !== 'object') return value
  const text = formatDecimal(value, field.type.kind === 'scalar' ? field.type.scale : undefined)
  return field.type.kind === 'scalar' && field.type.scalar === 'Int' ? Number(text) : text
}

type Evaluated = { readonly answer: Answer; readonly absent: boolean }
const present = (answer: Answer): Evaluated => ({ answer, absent: answer === null })

/** `rows`: one row, or the members of a group. */
const evaluateField = (world: World, field: Field, rows: readonly Seen[], missed: Missed): Evaluated => {
  const [row] = rows
  const { value } = field
  switch (value.kind) {
    case 'path': {
      const column = columnOf(endOf(world, row!, value.joins).entity, value.column)
      const cell = reach(world, [row!], value.joins, missed)[0]?.row[value.column] ?? null
      return present(value.bucket && cell !== null ? bucketStart(String(cell), value.bucket) : cellAnswer(column, cell))
    }
    case 'part': {
      const [reached] = reach(world, [row!], value.joins, missed)
      if (!reached) return present(null)
      const object = evaluateFields(world, partFields(world, value.part), [reached], missed)
      if (!object) missed.shown = true
      return present(object ?? null)
    }
    case 'list':
    case 'first': {
      const reached = value.joins.slice(0, value.many + 1)
      const candidates = reach(world, rows, reached, missed).filter(
        (other) => !value.where || satisfies(world, other, value.where),
      )
      const elements: Answer[] = []
      for (const other of inOrder(world, candidates, value.orderBy)) {
        const own = nothing()
        const element = evaluateElement(world, value, other, own)
        const within = elements.length < value.limit
        if (element !== null && within) elements.push(element)
        if (own.shown && within) missed.shown = true
        if (own.shown || own.passed) missed.passed = true
      }
      return value.kind === 'list'
        ? { answer: elements, absent: false }
        : { answer: elements[0] ?? null, absent: elements.length === 0 }
    }
    case 'aggregate': {
      const reached = value.joins.slice(0, value.many + 1)
      const after = value.joins.slice(value.many + 1)
      const counted = reach(world, rows, reached, missed).filter(
        (other) => (!value.where || satisfies(world, other, value.where)) && isCurrent(world, value, other),
      )
      const { column } = value
      if (column === undefined) return present(sized(field, counted.length))
      const values = counted
        .flatMap((other) => reach(world, [other], after, missed))
        .map((other) => other.row[column] ?? null)
      const type = columnOf(endOf(world, rows[0]!, value.joins).entity, column).type
      const answer = aggregate(
        value,
        type,
        values.filter((cell): cell is Exclude<CellValue, null | object> => cell !== null),
      )
      return present(value.fn === 'count' ? sized(field, answer as number) : answer)
    }
    case 'expr':
      throw new Error('expressions are evaluated after the fields they read')
  }
}

const isCurrent = (world: World, { window }: Extract<Field['value'], { kind: 'aggregate' }>, row: Seen): boolean => {
  if (!window) return true
  const [timed] = reach(world, [row], window.joins, nothing())
  return isWithin((timed?.row[window.column] ?? null) as string | null, window, world.now!)
}

/** A count is Int or Long, as declared. */
const sized = (field: Field, count: number): Answer =>
  field.type.kind === 'scalar' && field.type.scalar === 'Long' ? String(count) : count

const evaluateElement = (
  world: World,
  value: Extract<Field['value'], { kind: 'list' | 'first' }>,
  row: Seen,
  missed: Missed,
): Answer => {
  const reached = reach(world, [row], value.joins.slice(value.many + 1), missed)[0]
  if (!reached) return null
  if (value.column !== undefined) return cellAnswer(columnOf(reached.entity, value.column), reached.row[value.column])
  const object = evaluateFields(world, partFields(world, value.part!), [reached], missed)
  if (!object) missed.shown = true
  return object ?? null
}

/** Follows joins, noting promised rows that are not there. */
const reach = (world: World, rows: readonly Seen[], joins: readonly string[], missed: Missed): readonly Seen[] =>
  joins.reduce<readonly Seen[]>(
    (reached, name) =>
      reached.flatMap((row) => {
        const next = follow(world, row, name)
        const join = joinOf(row.entity, name)
        if (next.length === 0 && join.promised && !join.many) missed.passed = true
        return next
      }),
    rows,
  )

const endOf = (world: World, row: Seen, joins: readonly string[]) => ({
  entity: joins.reduce((entity, join) => entityOf(world.model, joinOf(entity, join).target), row.entity),
})

const partFields = (world: World, name: string): readonly Field[] => {
  const part = world.model.parts.get(name)
  if (!part) throw new Error(`no part ${name}`)
  return part.fields
}
