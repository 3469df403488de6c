/** Conditions and orders, as they are declared and asked for. */

/** A literal in its canonical JSON form: Long, Decimal, DateTime (ISO UTC) and Date as strings; enum values by name. */
export type Literal = string | number | boolean | null
export type CompareOp = 'eq' | 'ne' | 'in' | 'notIn' | 'lt' | 'lte' | 'gt' | 'gte' | 'isNull' | 'startsWith' | 'has'
export type Operand =
  | { readonly kind: 'literal'; readonly value: Literal }
  | { readonly kind: 'list'; readonly values: readonly Literal[] }
  | { readonly kind: 'field'; readonly field: string }
  | { readonly kind: 'claim'; readonly claim: string }
/** Two-valued: null equals only null, so `ne` and `notIn` keep nulls; every other operator drops them. */
export type Where =
  | { readonly kind: 'and'; readonly items: readonly Where[] }
  | { readonly kind: 'or'; readonly items: readonly Where[] }
  | { readonly kind: 'not'; readonly item: Where }
  | { readonly kind: 'compare'; readonly field: string; readonly op: CompareOp; readonly value: Operand }
  | { readonly kind: 'join'; readonly join: string; readonly where: Where }
  | { readonly kind: 'exists'; readonly join: string; readonly exists: boolean }
/** Nulls last in both directions, text by code point; the row's key breaks ties, ascending. */
export type OrderBy = { readonly joins: readonly string[]; readonly field: string; readonly direction: 'ASC' | 'DESC' }
