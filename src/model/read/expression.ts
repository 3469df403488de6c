/**
 * The one escape hatch: a Postgres expression over the row's own fields, read by Postgres's own parser, so that its inputs are
 * known and lineage follows them.
 */
import { parseSync } from 'libpg-query'
import { type Tree, treeAt, trees } from './expression-tree.ts'
import { type ExpressionSite, refuse, visit, type Walk } from './expression-walk.ts'

/**
 * `inputs`: fields it reads, by their declared names. `nullable`: why the value may be null; absent: it can't. `rewritten`: its text with each
 * field under another name. `tree`: as Postgres parsed it, whose bytes `offsetOf` makes characters of the text.
 */
export type Expression = {
  readonly inputs: readonly string[]
  readonly nullable?: string
  readonly tree: Tree
  readonly offsetOf: (byte: number) => number
  readonly rewritten: (name: (field: string) => string) => string
}

const prefix = 'select ('

/** The expression; undefined when it has a fault, which the site is then told. libpg-query must have been loaded. */
export const readExpression = (sql: string, site: ExpressionSite): Expression | undefined => {
  // A comment at its end must not swallow the parenthesis.
  const text = `${prefix}${sql}\n)`
  const bytes = Buffer.from(text)
  const offsetOf = (byte: number): number =>
    Math.min(Math.max(bytes.subarray(0, byte).toString().length - prefix.length, 0), sql.length)
  if (sql.includes('\0')) return site.fault(0, 'a NUL character', 'Remove it.')
  let tree: Tree
  try {
    tree = parseSync(text) as unknown as Tree
  } catch (error) {
    const { message, byte } = parserSays(error)
    return site.fault(offsetOf(byte), message, `Write one Postgres expression over fields of ${site.owner}.`)
  }
  const root = soleExpression(tree)
  if (root === undefined)
    return site.fault(0, 'this is more than one expression', 'Write one; each further value is a field of its own.')
  const walk: Walk = {
    site,
    offsetOf,
    writtenAt: (byte) => /^(?:"[^"]*"|[\w$]+)/u.exec(bytes.subarray(byte).toString())?.[0] ?? '',
    inputs: new Set(),
    fields: [],
    clockWords: [],
    faulty: false,
    instants: false,
  }
  const { nullable, kind } = visit(walk, root)
  const [clockWord] = walk.clockWords
  if (walk.instants && clockWord !== undefined)
    refuse(
      walk,
      clockWord,
      'text that stands for the current time',
      'A row may not depend on when it is read; write an instant.',
    )
  if (kind !== undefined && kind !== site.result.kind)
    refuse(walk, prefix.length, `a ${kind}, declared ${site.result.name}`, `Declare it as its ${kind}, or cast it.`)
  if (walk.faulty) return undefined
  const rewritten = (name: (field: string) => string): string => {
    let from = prefix.length
    let out = ''
    for (const { field, byte, length } of [...walk.fields].sort((a, b) => a.byte - b.byte)) {
      out += bytes.subarray(from, byte).toString() + name(field)
      from = byte + length
    }
    return out + bytes.subarray(from, bytes.length - 2).toString()
  }
  return { inputs: [...walk.inputs], ...(nullable === undefined ? {} : { nullable }), tree: root, offsetOf, rewritten }
}

/** The parser's message, and the byte of the text that it points at. */
const parserSays = (error: unknown): { readonly message: string; readonly byte: number } => {
  if (!(error instanceof Error)) throw error
  const details = 'sqlDetails' in error ? (error.sqlDetails as { readonly cursorPosition?: number }) : undefined
  return { message: error.message, byte: details?.cursorPosition ?? prefix.length }
}

/** The expression in `select (…)`, if nothing else stands there. */
const soleExpression = (tree: Tree): Tree | undefined => {
  const statements = trees(tree.stmts)
  const select = treeAt(statements[0], 'stmt', 'SelectStmt') ?? {}
  const targets = trees(select.targetList)
  const target = treeAt(targets[0], 'ResTarget') ?? {}
  const plain = Object.keys(select).every((key) => ['targetList', 'limitOption', 'op'].includes(key))
  const sole = statements.length === 1 && targets.length === 1 && plain && target.name === undefined
  return sole ? treeAt(target, 'val') : undefined
}
