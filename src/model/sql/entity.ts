/** The indexes of an entity's table: those that the views' joins use, and those that rows go by. */
import { createHash } from 'node:crypto'
import type { Entity, Model, Retention } from '../model.ts'
import { columnName, snakeCase } from '../names.ts'
import { compileView } from './compile-view.ts'
import { directionSql, type Reading, reversed, type Term, termOf, termsOf } from './order.ts'
import { type Dependency, isKey } from './row-scope.ts'

/** By which a row's age is told, unquoted. */
export const expiryColumn = ({ on }: Retention): string => (on === undefined ? '_event_time' : columnName(on))

/** `orders`: what follows a column that isn't plainly ascending. */
export type EntityIndex = {
  readonly name: string
  readonly columns: readonly string[]
  readonly orders?: Readonly<Record<string, string>>
  readonly where?: string
}

/** What a view reads, from the entity it is of. */
export type Walk = { readonly root: string; readonly dependency: Dependency }

export const walksOf = (model: Model): readonly Walk[] =>
  [...model.views.values()].flatMap((view) =>
    [...compileView(model, view).dependencies.values()].map((dependency) => ({ root: view.of, dependency })),
  )

/**
 * Btree indexes: over live rows for every join that a view walks, both ways, where the key doesn't serve, and for every order in which the
 * first rows are read, with the key where it tells ties apart, of those rows alone that are wanted; over tombstones by age, and over rows
 * that are kept for a time by that.
 */
export const entityIndexes = (walks: readonly Walk[], entity: Entity): readonly EntityIndex[] => {
  const wanted: Ordered[] = []
  for (const { root, dependency } of walks) {
    const { entity: reached, steps, readings } = dependency
    const last = steps.at(-1)
    if (!last) continue
    const parent = steps.length > 1 ? steps.at(-2)!.target : root
    // With the key, in whose order a value that leads to many rows is followed (see fanout.ts).
    if (parent === entity.name && !isKey(entity, last.from))
      wanted.push({ terms: termsOf(entity, last.from, [], true) })
    if (reached.name !== entity.name || isKey(entity, last.to)) continue
    for (const reading of readings.values()) wanted.push({ terms: ascending(entity, last.to), ...reading })
  }
  return fewest(entity, wanted)
    .map(({ terms, where }) => {
      const columns = terms.map(({ field }) => columnName(field))
      const orders = terms.map((term) => [columnName(term.field), directionSql(term)] as const).filter(([, way]) => way)
      return {
        name: indexName(entity, [
          ...terms.flatMap(nameParts),
          ...(where === undefined ? [] : ['where', digest(where)]),
        ]),
        columns,
        ...(orders.length ? { orders: Object.fromEntries(orders) } : {}),
        where: where === undefined ? '_live' : `_live and ${where}`,
      }
    })
    .concat(
      entity.retention
        ? [{ name: indexName(entity, ['expiry']), columns: [expiryColumn(entity.retention)], where: 'not _deleted' }]
        : [],
    )
    .concat({ name: indexName(entity, ['tombstones']), columns: ['_deleted_at'], where: '_deleted' })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

type Ordered = Required<Pick<Reading, 'terms'>> & Reading

/** An index that is longer serves what begins likewise, and one read backwards what goes the opposite way all along. */
const fewest = (entity: Entity, wanted: readonly Ordered[]): readonly Ordered[] => {
  const key = { terms: ascending(entity, entity.key) }
  const kept: Ordered[] = [key]
  for (const one of wanted.toSorted((a, b) => b.terms.length - a.terms.length)) {
    if (kept.some((index) => serves(index, one))) continue
    kept.push(one.terms[0]!.desc ? { ...one, terms: reversed(one.terms) } : one)
  }
  return kept.filter((index) => index !== key)
}

const serves = (index: Ordered, { terms, where }: Ordered): boolean => {
  const asked = JSON.stringify(terms)
  const first = index.terms.slice(0, terms.length)
  return index.where === where && [first, reversed(first)].some((order) => asked === JSON.stringify(order))
}

/** As rows are found by these fields, and totals of them compared in their order. */
const ascending = (entity: Entity, fields: readonly string[]): readonly Term[] =>
  fields.map((field) => termOf(entity, field, false))

const nameParts = (term: Term): readonly string[] => {
  const way = directionSql(term).replace(/^asc /, '').replaceAll(' ', '_')
  return [columnName(term.field), ...(way ? [way] : [])]
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8)

const indexName = (entity: Entity, parts: readonly string[]): string => {
  const name = `${snakeCase(entity.name)}_${parts.join('_')}_idx`
  return name.length <= 63 ? name : `${name.slice(0, 50)}_${digest(name)}`
}
