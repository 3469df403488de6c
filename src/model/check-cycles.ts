/** Parts that show themselves, and expressions that read themselves. */
import type { Report } from './fault.ts'
import type { Field, Model, Part } from './model.ts'

export const checkCycles = (model: Model, report: Report): void => {
  for (const part of model.parts.values())
    for (const field of part.fields) {
      const round = field.type.kind === 'part' ? pathTo(model, field.type.part, part.name, []) : undefined
      if (round !== undefined)
        report(
          field.place,
          `${part.name} shows itself: ${[part.name, ...round].join(' → ')}`,
          'End with a part that has no such field: a shape is finite.',
        )
    }
  for (const type of [...model.views.values(), ...model.parts.values()])
    for (const field of type.fields) {
      const round = readsItself(type.fields, field.name, field, [])
      if (round !== undefined)
        report(
          field.place,
          `${type.name}.${field.name} reads itself: ${[field.name, ...round].join(' → ')}`,
          'Let one of them read stored fields only.',
        )
    }
}

const pathTo = (model: Model, from: string, to: string, passed: readonly string[]): readonly string[] | undefined => {
  if (from === to) return [to]
  const part: Part | undefined = passed.includes(from) ? undefined : model.parts.get(from)
  for (const field of part?.fields ?? []) {
    const rest = field.type.kind === 'part' ? pathTo(model, field.type.part, to, [...passed, from]) : undefined
    if (rest !== undefined) return [from, ...rest]
  }
  return undefined
}

const readsItself = (
  fields: readonly Field[],
  name: string,
  at: Field,
  passed: readonly string[],
): readonly string[] | undefined => {
  if (at.value.kind !== 'expr' || passed.includes(at.name)) return undefined
  for (const input of at.value.inputs) {
    if (input === name) return [name]
    const next = fields.find((field) => field.name === input)
    const rest = next && readsItself(fields, name, next, [...passed, at.name])
    if (rest !== undefined) return [input, ...rest]
  }
  return undefined
}
