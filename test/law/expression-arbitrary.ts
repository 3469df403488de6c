/** Random expressions, of views and parts and of entities. */
import type { Draw } from './draw.ts'

type TypeName = 'Int' | 'Decimal' | 'Long' | 'Boolean'
type Column = { readonly name: string; readonly nonNull: boolean }
type Written = { readonly sql: string; readonly type: TypeName; readonly reads: readonly string[] }
const EXPRESSIONS: readonly Written[] = [
  { sql: 'qty * 2 + 1', type: 'Int', reads: ['qty'] },
  { sql: 'qty - spare', type: 'Int', reads: ['qty', 'spare'] },
  { sql: 'amount * qty', type: 'Decimal', reads: ['amount', 'qty'] },
  { sql: 'big + qty', type: 'Long', reads: ['big', 'qty'] },
  { sql: "kind = 'A' or qty >= 3", type: 'Boolean', reads: ['kind', 'qty'] },
  { sql: "spare > 2 and not (kind = 'B')", type: 'Boolean', reads: ['spare', 'kind'] },
  { sql: 'amount - rate <= 1.5', type: 'Boolean', reads: ['amount', 'rate'] },
]

/** Those whose inputs are among these columns. */
export const writable = (
  columns: readonly Column[],
): readonly { readonly place: number; readonly sql: string; readonly type: TypeName; readonly nonNull: boolean }[] => {
  const byName = new Map(columns.map((c) => [c.name, c]))
  return EXPRESSIONS.flatMap(({ sql, type, reads }, place) => {
    const inputs = reads.map((name) => byName.get(name))
    return inputs.every((input) => input !== undefined)
      ? [{ place, sql, type, nonNull: inputs.every(({ nonNull }) => nonNull) }]
      : []
  })
}

/** Expressions over plain columns of the same shape. */
export const expressionFields = (draw: Draw, plain: readonly Column[]): readonly string[] =>
  draw
    .some(writable(plain), 3)
    .map(({ place, sql, type, nonNull }) => `  x${place}: ${type}${nonNull ? '!' : ''} @expr(sql: "${sql}")`)
