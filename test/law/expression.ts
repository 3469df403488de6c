/**
 * A tiny interpreter for the expressions that the generator writes: `or and not`, comparisons, `is [not] null`, `+ - *`,
 * `coalesce(…)`, numbers, texts, fields. Three-valued, as SQL is; numbers are exact decimals.
 */
import { add, compareDecimals, type Decimal, multiply, negate, parseDecimal } from './decimal.ts'
import { compareText } from './values.ts'

export type Value = null | boolean | string | Decimal
type Token = { readonly kind: 'number' | 'text' | 'word' | 'sign' | 'end'; readonly text: string }

const tokenize = (sql: string): readonly Token[] => {
  const pattern = /\s*(?:(\d+(?:\.\d+)?)|'((?:[^']|'')*)'|([A-Za-z_]\w*)|(<>|<=|>=|[-+*=<>(),]))/y
  const tokens: Token[] = []
  const end = sql.trimEnd().length
  while (pattern.lastIndex < end) {
    const at = pattern.lastIndex
    const match = pattern.exec(sql)
    if (!match) throw new Error(`the oracle can not read this expression from ${at}: ${sql}`)
    const [, number, text, word, sign] = match
    if (number !== undefined) tokens.push({ kind: 'number', text: number })
    else if (text !== undefined) tokens.push({ kind: 'text', text: text.replaceAll("''", "'") })
    else if (word !== undefined) tokens.push({ kind: 'word', text: word.toLowerCase() })
    else tokens.push({ kind: 'sign', text: sign! })
  }
  return tokens
}

/** `fields`: by lower-case name. */
export const evaluate = (sql: string, fields: ReadonlyMap<string, Value>): Value => {
  const tokens = tokenize(sql)
  let at = 0
  const peek = (): Token => tokens[at] ?? { kind: 'end', text: '' }
  const accept = (...texts: readonly string[]): string | undefined => {
    const { kind, text } = peek()
    if ((kind !== 'word' && kind !== 'sign') || !texts.includes(text)) return undefined
    at += 1
    return text
  }
  const expect = (text: string): void => {
    if (!accept(text)) throw new Error(`the oracle expected ${text} at token ${at} of: ${sql}`)
  }
  const list = (): readonly Value[] => {
    const items = [disjunction()]
    while (accept(',')) items.push(disjunction())
    expect(')')
    return items
  }
  const atom = (): Value => {
    if (accept('(')) return list()[0]!
    if (accept('-')) {
      const value = atom()
      return value === null ? null : negate(value as Decimal)
    }
    const { kind, text } = peek()
    at += 1
    if (kind === 'number') return parseDecimal(text)
    if (kind === 'text') return text
    if (kind !== 'word') throw new Error(`the oracle did not expect ${text || 'the end'} in: ${sql}`)
    if (text === 'true' || text === 'false') return text === 'true'
    if (text === 'null') return null
    if (text === 'coalesce') {
      expect('(')
      return list().find((value) => value !== null) ?? null
    }
    const value = fields.get(text)
    if (value === undefined) throw new Error(`no field ${text} for: ${sql}`)
    return value
  }
  const product = (): Value => {
    let left = atom()
    while (accept('*')) {
      const right = atom()
      left = left === null || right === null ? null : multiply(left as Decimal, right as Decimal)
    }
    return left
  }
  const sum = (): Value => {
    let left = product()
    for (let sign = accept('+', '-'); sign; sign = accept('+', '-')) {
      const right = product()
      left =
        left === null || right === null
          ? null
          : add(left as Decimal, sign === '+' ? (right as Decimal) : negate(right as Decimal))
    }
    return left
  }
  const comparison = (): Value => {
    const left = sum()
    if (accept('is')) {
      const negated = accept('not') !== undefined
      expect('null')
      return (left === null) !== negated
    }
    const sign = accept('=', '<>', '<', '<=', '>', '>=')
    if (!sign) return left
    const right = sum()
    if (left === null || right === null) return null
    const order =
      typeof left === 'object'
        ? compareDecimals(left, right as Decimal)
        : typeof left === 'string'
          ? compareText(left, String(right))
          : Number(left) - Number(right)
    return { '=': order === 0, '<>': order !== 0, '<': order < 0, '<=': order <= 0, '>': order > 0, '>=': order >= 0 }[
      sign
    ]!
  }
  const negation = (): Value => {
    if (!accept('not')) return comparison()
    const value = negation()
    return value === null ? null : !value
  }
  const conjunction = (): Value => {
    let left = negation()
    while (accept('and')) {
      const right = negation()
      left = left === false || right === false ? false : left === null || right === null ? null : true
    }
    return left
  }
  const disjunction = (): Value => {
    let left = conjunction()
    while (accept('or')) {
      const right = conjunction()
      left = left === true || right === true ? true : left === null || right === null ? null : false
    }
    return left
  }
  const value = disjunction()
  if (peek().kind !== 'end') throw new Error(`the oracle did not expect ${peek().text} in: ${sql}`)
  return value
}
