/** What a condition rules null out of. */
import type { Where } from '../condition.ts'

/** Paths (`join.field`, `join`) that are not null in every row for which the condition holds. */
export const provenNonNull = (where: Where | undefined, prefix: readonly string[] = []): ReadonlySet<string> => {
  if (where === undefined) return new Set()
  switch (where.kind) {
    case 'and':
      return new Set(where.items.flatMap((item) => [...provenNonNull(item, prefix)]))
    case 'or': {
      const [first = new Set<string>(), ...rest] = where.items.map((item) => provenNonNull(item, prefix))
      return new Set([...first].filter((path) => rest.every((other) => other.has(path))))
    }
    case 'not':
      return new Set()
    case 'exists':
      return new Set(where.exists ? [[...prefix, where.join].join('.')] : [])
    case 'join': {
      const path = [...prefix, where.join]
      const inside = provenNonNull(where.where, path)
      return new Set(inside.size > 0 ? [path.join('.'), ...inside] : [])
    }
    case 'compare': {
      const path = [...prefix, where.field].join('.')
      return new Set(dropsNull(where) ? [path] : [])
    }
  }
}

const dropsNull = ({ op, value }: Extract<Where, { kind: 'compare' }>): boolean => {
  const literals = value.kind === 'literal' ? [value.value] : value.kind === 'list' ? value.values : []
  switch (op) {
    case 'isNull':
      return value.kind === 'literal' && value.value === false
    case 'ne':
    case 'notIn':
      return literals.includes(null)
    case 'eq':
    case 'in':
      // Null equals null, so a comparison with a field, a claim or a listed null keeps it.
      return (value.kind === 'literal' || value.kind === 'list') && !literals.includes(null)
    case 'lt':
    case 'lte':
    case 'gt':
    case 'gte':
    case 'startsWith':
    case 'has':
      return true
  }
}
