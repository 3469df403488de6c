/** Fields whose value changes as time goes by, with no change of any row: windowed aggregates, and expressions over them. */
import type { Field } from './model.ts'
import { valueSqlType } from './names.ts'

export const rollingFields = (fields: readonly Pick<Field, 'name' | 'value'>[]): ReadonlySet<string> => {
  const rolling = new Set(
    fields.filter(({ value }) => value.kind === 'aggregate' && value.window !== undefined).map(({ name }) => name),
  )
  for (let known = -1; known < rolling.size; ) {
    known = rolling.size
    for (const { name, value } of fields)
      if (value.kind === 'expr' && value.inputs.some((input) => rolling.has(input))) rolling.add(name)
  }
  return rolling
}

/** Those that may fail as a row is read, so that there is no promise of them: an expression, or a sum beyond 64 bits. */
export const unpromised = (fields: readonly Field[]): ReadonlySet<string> => {
  const rolling = rollingFields(fields)
  const mayFail = ({ name, value, type }: Field) =>
    rolling.has(name) &&
    (value.kind !== 'aggregate' || (value.fn === 'sum' && type.kind !== 'part' && valueSqlType(type) === 'bigint'))
  return new Set(fields.filter(mayFail).map(({ name }) => name))
}
