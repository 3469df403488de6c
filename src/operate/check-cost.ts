/** `forebay check --cost`: what the folder's views come to against what the database keeps, before anything is started with it. */
import type { Field, Model, Part, View } from '../model/model.ts'
import { compileView } from '../model/sql/compile-view.ts'
import { decodeView, type StoredView, storedView } from '../model/stored-view.ts'
import { codeOf, type Sql } from '../platform/postgres.ts'
import { keptFor } from './kept-for.ts'

/**
 * `nothing`: its definition is kept already. `return`: it stands by, so it serves at once. `rebuild`, `new`: so many keys are to be filled;
 * null where the tables that they come from aren't there yet. `gone`: nothing declares it any more. `breaking`: what callers lose.
 */
export type Cost = {
  readonly view: string
  readonly kind: 'nothing' | 'return' | 'rebuild' | 'new' | 'gone'
  readonly keys: number | null
  /** At the rate of the builds before; null where there was none. */
  readonly seconds: number | null
  readonly breaking: readonly string[]
}

type Serving = {
  readonly view: string
  readonly declared: string
  readonly pointed: boolean
  readonly definition: string | null
}

/** By view, those that are gone last. Throws what Postgres throws. */
export const costOf = async (sql: Sql, model: Model): Promise<readonly Cost[]> => {
  const kept = await sql<Serving[]>`
    select g.view, coalesce(g.declared, g.hash) as declared, p.generation is not null as pointed, g.definition::text as definition
    from forebay.generations g left join forebay.pointers p using (view, generation) where g.retired_at is null`
  const rate = await usualRate(sql)
  const costs: Cost[] = []
  for (const view of model.views.values()) {
    const stored = storedView(model, compileView(model, view))
    const own = kept.filter((one) => one.view === view.name)
    const serving = own.find(({ pointed }) => pointed)
    const breaking = serving?.definition == null ? [] : breakingFor(decodeView(serving.definition), model, view)
    const same = own.find(({ declared }) => declared === stored.table.hash)
    if (serving?.declared === stored.table.hash)
      costs.push({ view: view.name, kind: 'nothing', keys: 0, seconds: 0, breaking })
    else if (same) costs.push({ view: view.name, kind: 'return', keys: 0, seconds: 0, breaking })
    else {
      const keys = await keysOf(sql, stored)
      const seconds = keys === null || rate === null ? null : keys / rate
      costs.push({ view: view.name, kind: serving ? 'rebuild' : 'new', keys, seconds, breaking })
    }
  }
  const gone = kept.filter(({ view, pointed }) => pointed && !model.views.has(view))
  return [
    ...costs,
    ...gone.map(({ view }): Cost => ({ view, kind: 'gone', keys: 0, seconds: 0, breaking: [`${view} is gone`] })),
  ]
}

/** Keys a second over all builds that came to their end. */
const usualRate = async (sql: Sql): Promise<number | null> => {
  const [row] = await sql<{ rate: number | null }[]>`
    select sum(done)::float8 / nullif(extract(epoch from sum(finished_at - started_at)), 0)::float8 as rate
    from forebay.fills where finished_at is not null and done > 0`
  return row?.rate ?? null
}

const keysOf = async (sql: Sql, { fill }: StoredView): Promise<number | null> => {
  let total = 0
  for (const { count } of fill) {
    try {
      const [row] = await sql.unsafe<{ n: number }[]>(count)
      total += row!.n
    } catch (error) {
      if (!['42P01', '42703', '3F000'].includes(codeOf(error))) throw error
      return null
    }
  }
  return total
}

/** What a caller of the view that serves can no longer ask, or has to be ready for. */
const breakingFor = (serving: StoredView, model: Model, view: View): readonly string[] => {
  const key = (of: StoredView['table']) => of.key.map(({ name }) => name).join(', ')
  const declared = storedView(model, compileView(model, view))
  const { table } = declared
  const keys =
    key(serving.table) === key(table)
      ? []
      : [`${view.name} is asked by ${key(table)}, no longer by ${key(serving.table)}`]
  const before = new Map(serving.parts.map((part) => [part.name, part]))
  return [
    ...keys,
    ...lostRows(serving.view, view),
    ...lostFields(view.name, serving.view.fields, view.fields),
    ...lostParts(before, model),
    ...lostValues(serving.enums ?? {}, declared.enums ?? {}),
  ]
}

const lostRows = ({ retention: was }: View, { name, retention: is }: View): readonly string[] => {
  if (is === undefined || (was !== undefined && was.on === is.on && was.ttlMs <= is.ttlMs)) return []
  const before = was === undefined ? 'and were kept for good' : `no longer ${keptFor(was.ttlMs)} after ${was.on}`
  return [`rows of ${name} go ${keptFor(is.ttlMs)} after ${is.on}, ${before}`]
}

/** Who sends one is refused. A value that is new breaks nobody who was ready for what he doesn't know. */
const lostValues = (before: NonNullable<StoredView['enums']>, after: NonNullable<StoredView['enums']>) =>
  Object.entries(before).flatMap(([name, values]) => {
    const left = after[name]
    return left === undefined
      ? []
      : values.filter((value) => !left.includes(value)).map((value) => `${name} has no ${value} any more`)
  })

const lostParts = (before: ReadonlyMap<string, Part>, model: Model): readonly string[] =>
  [...before.values()].flatMap(({ name, fields }) => {
    const part = model.parts.get(name)
    return part ? lostFields(name, fields, part.fields) : []
  })

const lostFields = (type: string, before: readonly Field[], after: readonly Field[]): readonly string[] =>
  before.flatMap((was) => {
    const name = `${type}.${was.name}`
    const is = after.find((field) => field.name === was.name)
    if (!is) return [`${name} is gone`]
    const searches = (['lookup', 'filter', 'order'] as const).filter((way) => was[way] && !is[way])
    return [
      ...(typeText(was) === typeText(is) ? [] : [`${name} is ${typeText(is)}, no longer ${typeText(was)}`]),
      ...(was.nonNull && !is.nonNull ? [`${name} may be null now`] : []),
      ...searches.map((way) => `${name} can't be searched by @${way} any more`),
    ]
  })

const typeText = ({ type, list }: Field): string => {
  const one = type.kind === 'part' ? type.part : type.kind === 'enum' ? type.enum : type.scalar
  return list ? `[${one}]` : one
}
