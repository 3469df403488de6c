/** A view's row as readers and caches have it, whoever reads it: its fields in answer form as one JSON text, and what is said of the whole row. */
import { ident, valueSqlType } from '../names.ts'
import type { ViewKey, ViewTable } from '../view-table.ts'
import { answerSql } from './answer.ts'

/** A key's value as answers show it, in text. */
const keyText = (key: ViewKey, sql: string): string => `(${answerSql(sql, key.type)})::text`

/** `fields`: what of the row `r`, each with its name. `key` is a JSON array of texts. */
export const storedColumns = (
  table: ViewTable,
  fields: readonly { readonly field: string; readonly answer: string }[],
) => [
  fields.length
    ? `(select row_to_json(_answer) from (select ${fields.map(({ field, answer }) => `${answer} as ${ident(field)}`).join(', ')}) _answer)::text as fields`
    : `'{}' as fields`,
  `json_build_array(${table.key.map((key) => keyText(key, `r.${ident(key.column)}`)).join(', ')})::text as key`,
  'r._version::text as version',
  'r._incomplete as incomplete',
  ...(table.finalAt ? [`ceil(extract(epoch from ${table.finalAt}) * 1000)::float8 as "finalAt"`] : []),
]

/** That `r` is the row whose key's texts are `_k0`, `_k1` … of `k`, under a tenant. */
export const isOfKey = (table: ViewTable, tenant: () => string): string => {
  const value = (key: ViewKey, i: number): string => `k._k${i}::${valueSqlType(key.type)}`
  if (!table.grouped) return table.key.map((key, i) => `r.${ident(key.column)} = ${value(key, i)}`).join(' and ')
  const parts = table.key.map((key, i) => answerSql(value(key, i), key.type))
  return `r._group = jsonb_build_array(${[tenant(), ...parts].join(', ')})::text`
}
