/** What tells two databases apart, in words. */
import { indexTerms, type Physical, type Table, tableName } from './physical.ts'

/** `table sales.order: new`, `sales.order column note: was text, is jsonb`, …; empty for databases with equal fingerprints. */
export const changes = (from: Physical, to: Physical): readonly string[] => {
  const [old, next] = [shape(from), shape(to)]
  const tables = new Set([...old, ...next].flatMap(([key]) => (key.startsWith('table ') ? [key] : [])))
  const whole = [...tables]
    .filter((key) => old.has(key) !== next.has(key))
    .map((key) => `${key.slice('table '.length)} `)
  const keys = [...new Set([...old.keys(), ...next.keys()])]
  const obvious = (key: string) => key.startsWith('table ') || to.objects.some((object) => object.name === key)
  return keys
    .filter((key) => old.get(key) !== next.get(key) && !whole.some((table) => key.startsWith(table)))
    .map((key) => {
      const [was, is] = [old.get(key), next.get(key)]
      if (was === undefined) return `${key}: new${obvious(key) ? '' : ` (${brief(is ?? '')})`}`
      return is === undefined ? `${key}: gone` : `${key}: was ${brief(was)}, is ${brief(is)}`
    })
}

/** On one line, and not much of it. */
const brief = (definition: string): string => {
  const line = definition.replaceAll(/\s+/g, ' ')
  return line.length > 100 ? `${line.slice(0, 99)}…` : line
}

const shape = (physical: Physical): ReadonlyMap<string, string> =>
  new Map([
    ...physical.tables.flatMap(tableShape),
    ...physical.objects.map((object) => [object.name, object.sql] as const),
  ])

const tableShape = (table: Table): (readonly [string, string])[] => {
  const name = tableName(table)
  return [
    [`table ${name}`, ''],
    [`${name} key`, table.key.join(', ')],
    ...(table.partitionBy === undefined ? [] : [[`${name} partitioning`, table.partitionBy] as const]),
    ...table.columns.map((column) => {
      const { name: columnName, type, notNull, default: fallback, generated, identity } = column
      const words = [
        type,
        notNull ? 'not null' : '',
        identity ? 'identity' : '',
        fallback === undefined ? '' : `default ${fallback}`,
        generated === undefined ? '' : `generated as (${generated})`,
      ]
      return [`${name} column ${columnName}`, words.filter((word) => word !== '').join(' ')] as const
    }),
    ...(table.uniques ?? []).map((unique) => [`${name} unique ${unique.name}`, unique.columns.join(', ')] as const),
    ...(table.checks ?? []).map((check) => [`${name} check ${check.name}`, check.sql] as const),
    ...table.indexes.map(
      (index) =>
        [
          `${name} index ${index.name}`,
          indexTerms(index) + (index.where === undefined ? '' : ` where ${index.where}`),
        ] as const,
    ),
  ]
}
