import type { Literal } from '../condition.ts'
import type { ValueType } from '../model.ts'
import { quote, valueSqlType } from '../names.ts'

/** A canonical literal as SQL of the value's own type. */
export const literalSql = (value: Literal, type: ValueType): string => {
  if (value === null) return 'null'
  if (typeof value === 'boolean') return String(value)
  return `${quote(String(value))}::${valueSqlType(type)}`
}
