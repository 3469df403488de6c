/** mask: a stored row as one reader may see it. Compiled once per verdict and row class; fields that are clear cost nothing. */

import type { Field, Model } from '../../model/model.ts'
import { masked, tokenized } from '../access/mask.ts'
import type { Shape, ViewVerdict } from '../access/verdict.ts'

export type Fields = Record<string, unknown>
/** Changes the row in place: it is the reader's own copy. */
type Projection = (row: Fields, tenant: string) => void

const isDate = (field: Field): boolean => field.type.kind === 'scalar' && field.type.scalar === 'Date'

const projection = (model: Model, fields: readonly Field[], shape: Shape, key: Buffer): Projection | undefined => {
  const steps: Projection[] = []
  for (const field of fields) {
    const { name } = field
    const visible = shape.get(name)
    const each =
      (change: (value: unknown, tenant: string) => unknown): Projection =>
      (row, tenant) => {
        const value = row[name]
        if (value === null || value === undefined) return
        row[name] = Array.isArray(value) ? value.map((item) => change(item, tenant)) : change(value, tenant)
      }
    const kinds = [...new Set(field.lineage.tags.map((tag) => tag.kind))].sort()
    if (!visible) {
      steps.push((row) => {
        if (name in row) row[name] = null
      })
    } else if (field.type.kind === 'part') {
      const part = model.parts.get(field.type.part)
      const below = part && projection(model, part.fields, visible.part ?? new Map(), key)
      if (below) {
        steps.push(
          each((item, tenant) => {
            below(item as Fields, tenant)
            return item
          }),
        )
      }
    } else if (visible.form === 'masked') {
      const date = isDate(field)
      steps.push(each((value) => masked(value, kinds, date)))
    } else if (visible.form === 'tokenized') {
      steps.push(each((value, tenant) => tokenized(value, kinds, tenant, key)))
    }
  }
  if (steps.length === 0) return undefined
  return (row, tenant) => {
    for (const step of steps) step(row, tenant)
  }
}

/** `bits`: the row classes that may see the row. */
export type Projector = (row: Fields, bits: number, tenant: string) => void

export const createProjector = (model: Model, key: Buffer): ((verdict: ViewVerdict) => Projector) => {
  const made = new WeakMap<Shape, { readonly run: Projection | undefined }>()
  return (verdict) => (row, bits, tenant) => {
    const shape = verdict.shapeOf(bits)
    let known = made.get(shape)
    if (!known) {
      known = { run: projection(model, verdict.view.fields, shape, key) }
      made.set(shape, known)
    }
    known.run?.(row, tenant)
  }
}
