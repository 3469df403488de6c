/** The fields of a view or part, compiled: see `compileShape`. */

import type { Field, Part } from '../model.ts'
import { objectSql } from './answer.ts'
import type { Compilation } from './row-scope.ts'

export type Shape = {
  /** `sql as "name"` of the base layer. */
  readonly select: readonly string[]
  /** Laterals of the outer layer, in order of their inputs. */
  readonly exprs: readonly string[]
  /** Conditions over the outer layer under which the row is whole. Empty: always. */
  readonly complete: readonly string[]
  /** A boolean over the outer layer: something inside was withheld. */
  readonly incomplete: string
  readonly outputs: readonly Output[]
}
/** A field in the outer layer: `sql` names it there. `json`: already jsonb in answer form. */
export type Output = {
  readonly field: Field
  readonly sql: string
  readonly sqlType: string
  answer(sql: string): string
}
/** The shape's object in answer form, over its outer layer. */
export const shapeObject = (shape: Shape): string =>
  objectSql(shape.outputs.map(({ field, sql, answer }) => [field.name, answer(sql)] as const))

export const partOf = (compilation: Compilation, name: string): Part => {
  const part = compilation.model.parts.get(name)
  if (!part) throw new Error(`no part ${name}`)
  return part
}
