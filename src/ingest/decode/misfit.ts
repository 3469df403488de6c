/**
 * A record whose own schema no longer gives what its entity needs stops the entity, rather than filling the quarantine or a view with
 * nulls:
 *
 * | the schema | stops |
 * |---|---|
 * | gives a column a type that never converts | always |
 * | lacks a key column, or a non-null one where what a record lacks is null | always |
 * | lacks another column that is non-null or that a view reads | when an earlier schema of the topic had it and the latest known has it no more |
 *
 * "Had it earlier" takes schemas with numbers, a registry's. A column that no schema had yet is absent: it is about to come.
 */
import type { Column, Entity, EnumType } from '../../model/model.ts'
import type { ConnectSchema, Document, Registration } from './document.ts'
import { type Fit, find, judge } from './fit.ts'
import { type Cell, compileCells, type Missing, type Place, perSchema, schemaAt } from './row.ts'

/** Thrown for a record of an entity that is stopped by it. */
export class SchemaMisfit extends Error {}

/** Whether a view reads the column. */
export type Needed = (entity: string, column: string) => boolean

/** The cells of a record's row, which is at `at` in its value, by the record's own schema. Throws SchemaMisfit. */
export const fittedCells = (options: {
  readonly entity: Entity
  readonly enums: ReadonlyMap<string, EnumType>
  readonly placeOf: (column: Column) => Place
  readonly at: readonly string[]
  readonly missing: Missing
  readonly needed: Needed
}): ((document: Document) => readonly Cell[]) => {
  const { entity, enums, placeOf, at } = options
  const perKnown = perSchema((schema) => {
    const row = schemaAt(schema, at)
    const cells = compileCells(entity.columns, entity, enums, placeOf, row)
    return { cells, fits: schema ? judge(entity, enums, placeOf, [row, schema]) : [] }
  })
  const stops = ({ column, kind }: Fit, registration: Registration | undefined): boolean => {
    if (kind === 'type') return true
    if (kind !== 'missing') return false
    if (entity.key.includes(column.name) || (column.nonNull && options.missing === 'null')) return true
    if (!column.nonNull && !options.needed(entity.name, column.name)) return false
    return registration !== undefined && removed(registration, at, placeOf(column))
  }
  return (document) => {
    const { cells, fits } = perKnown(document.schema)
    if (fits.length === 0) return cells
    const fault = fits.find((fit) => stops(fit, document.registration))
    if (fault === undefined) return cells
    const schema = document.registration ? `schema ${document.registration.ref}` : 'the schema that records carry'
    const remedy = 'mend the source, or let the schema folder say what it gives now, and start again'
    throw new SchemaMisfit(`${entity.name}.${fault.column.name} ${fault.problem} in ${schema}: ${remedy}`)
  }
}

const removed = ({ ref, history }: Registration, at: readonly string[], place: Place): boolean => {
  if (place.kind === 'literal') return false
  const own = Number(ref)
  const known = history()
  const name = known.find(({ id }) => id === own)?.schema.name
  const versions = known.filter(({ schema }) => schema.name === name)
  const has = (schema: ConnectSchema): boolean =>
    place.roots.some((root) => find(root === 0 ? schemaAt(schema, at) : schema, place.path).kind !== 'missing')
  const latest = versions.at(-1)
  return latest !== undefined && !has(latest.schema) && versions.some(({ id, schema }) => id < own && has(schema))
}
