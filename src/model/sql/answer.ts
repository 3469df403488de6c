import type { ValueType } from '../model.ts'

/**
 * One stored value in answer form: Long, Decimal, DateTime and Date as text, the rest as they are. A Decimal with a scale always
 * shows that many digits; without one trailing zeros are trimmed, so equal values have equal bytes.
 */
export const answerSql = (sql: string, type: ValueType): string => {
  if (type.kind === 'enum') return sql
  switch (type.scalar) {
    case 'Long':
      return `(${sql})::text`
    case 'Decimal':
      return type.scale === undefined ? `trim_scale(${sql})::text` : `round(${sql}, ${type.scale})::text`
    case 'DateTime':
      return `forebay.iso(${sql})`
    case 'Date':
      return `to_char(${sql}, 'YYYY-MM-DD')`
    default:
      return sql
  }
}

/** A stored array in answer form, as jsonb; null where it is. */
export const answerListSql = (sql: string, type: ValueType): string => {
  const element = answerSql('u.x', type)
  if (element === 'u.x') return `to_jsonb(${sql})`
  return `(select coalesce(jsonb_agg(${element} order by u.n), '[]') from unnest(${sql}) with ordinality u(x, n) having ${sql} is not null)`
}

/** `jsonb_build_object`, in pieces of 50 fields since Postgres takes no more than 100 arguments. */
export const objectSql = (fields: readonly (readonly [name: string, sql: string])[]): string => {
  const pieces: string[] = []
  for (let start = 0; start < fields.length || start === 0; start += 50) {
    const slice = fields.slice(start, start + 50)
    pieces.push(`jsonb_build_object(${slice.map(([name, sql]) => `'${name}', ${sql}`).join(', ')})`)
  }
  return pieces.join(' || ')
}
