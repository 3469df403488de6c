/**
 * The one escape hatch: a Postgres expression over the row's own fields, read by Postgres's own parser, so that its inputs are
 * known. Only what is deterministic passes: sessions run in UTC with fixed settings, so functions that Postgres calls stable for
 * their sake alone are allowed.
 */
import { parseSync } from 'libpg-query'
import { functions, operators, types } from './expression-catalog.ts'
import { instead, sentence } from './fault.ts'
import type { ValueType } from './model.ts'

export type Input = {
  readonly type: ValueType | undefined
  readonly list: boolean
  readonly nonNull: boolean
  readonly rows: boolean
}
export type ExpressionSite = {
  readonly owner: string
  readonly self: string
  readonly inputs: ReadonlyMap<string, Input>
  readonly result: ValueType
  /** `offset`: characters into the SQL. */
  readonly fault: (offset: number, problem: string, remedy: string) => undefined
}
/** `nullable`: why the value may be null; absent: it can't. */
export type Expression = { readonly inputs: readonly string[]; readonly nullable?: string }

const prefix = 'select ('

export const readExpression = (sql: string, site: ExpressionSite): Expression | undefined => {
  const text = `${prefix}${sql}\n)`
  const bytes = Buffer.from(text)
  const offsetOf = (location: number | undefined): number =>
    Math.min(Math.max(bytes.subarray(0, location ?? prefix.length).toString().length - prefix.length, 0), sql.length)
  if (sql.includes('\0')) return site.fault(0, 'a NUL character', 'Remove it.')
  let tree: Tree
  try {
    tree = parseSync(text) as unknown as Tree
  } catch (error) {
    const { message, position } = parserSays(error)
    return site.fault(offsetOf(position), message, 'Write one Postgres expression over fields of this type.')
  }
  const root = soleExpression(tree)
  if (root === undefined)
    return site.fault(
      0,
      'this is more than one expression',
      'Write one expression; each further value is a field of its own.',
    )
  const quoted = (location: unknown): boolean => bytes[Number(location)] === 0x22
  const walk: Walk = { site, offsetOf, quoted, inputs: new Set(), faulty: false, instants: false, words: [] }
  const nullable = visit(walk, root)
  if (walk.instants && walk.words.length > 0)
    refuse(
      walk,
      walk.words[0],
      'text that stands for the current time',
      'A row may not depend on when it is read; write an instant.',
    )
  return walk.faulty ? undefined : { inputs: [...walk.inputs], ...(nullable === undefined ? {} : { nullable }) }
}

type Tree = { readonly [name: string]: unknown }
type Walk = {
  readonly site: ExpressionSite
  readonly offsetOf: (location: number | undefined) => number
  /** Whether a double quote opens there. */
  readonly quoted: (location: unknown) => boolean
  readonly inputs: Set<string>
  faulty: boolean
  /** Instants or days take part, so text such as `now` would be read as one. */
  instants: boolean
  readonly words: (number | undefined)[]
}

const parserSays = (error: unknown): { message: string; position: number | undefined } => {
  if (!(error instanceof Error)) throw error
  const details = (error as { sqlDetails?: { cursorPosition?: number } }).sqlDetails
  return { message: error.message, position: details?.cursorPosition }
}

/** The expression in `select (…)`, if nothing else stands there. */
const soleExpression = (tree: Tree): Tree | undefined => {
  const statements = list(tree.stmts)
  const select = at(statements[0], 'stmt', 'SelectStmt')
  const targets = list(select?.targetList)
  const extra = Object.keys(select ?? {}).filter((key) => !['targetList', 'limitOption', 'op'].includes(key))
  const target = at(targets[0], 'ResTarget')
  if (statements.length !== 1 || targets.length !== 1 || extra.length > 0 || target?.name !== undefined)
    return undefined
  const value = target?.val
  return isTree(value) ? value : undefined
}

const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value)
const list = (value: unknown): readonly Tree[] =>
  Array.isArray(value) ? value.filter(isTree) : isTree(value) ? [value] : []
const at = (tree: unknown, ...path: readonly string[]): Tree | undefined =>
  path.reduce<Tree | undefined>(
    (node, key) => {
      const next = node?.[key]
      return isTree(next) ? next : undefined
    },
    isTree(tree) ? tree : undefined,
  )
const strings = (value: unknown): readonly string[] =>
  list(value).map((item) => String(at(item, 'String')?.sval ?? at(item, 'A_Star') ?? ''))

const refuse = (walk: Walk, location: unknown, problem: string, remedy: string): undefined => {
  walk.faulty = true
  return walk.site.fault(walk.offsetOf(typeof location === 'number' ? location : undefined), problem, remedy)
}

/** Visits one node; gives why its value may be null, or undefined. */
const visit = (walk: Walk, tree: Tree): string | undefined => {
  const [kind = '', inner] = Object.entries(tree)[0] ?? []
  const node = isTree(inner) ? inner : {}
  const each = (...keys: readonly string[]): readonly (string | undefined)[] =>
    keys
      .flatMap((key) => list(node[key]))
      .flatMap((child) => ('List' in child ? list(at(child, 'List')?.items) : [child]))
      .map((child) => visit(walk, child))
  const strict = (nulls: readonly (string | undefined)[]): string | undefined => nulls.find((why) => why !== undefined)
  switch (kind) {
    case 'A_Const':
      return constant(walk, node)
    case 'ColumnRef':
      return column(walk, node)
    case 'A_Expr':
      return operation(walk, node, each('lexpr', 'rexpr'))
    case 'BoolExpr':
      return strict(each('args'))
    case 'NullTest':
    case 'BooleanTest':
      each('arg')
      return undefined
    case 'CoalesceExpr':
    case 'MinMaxExpr': {
      const nulls = each('args')
      return nulls.includes(undefined) ? undefined : nulls[0]
    }
    case 'CaseExpr': {
      each('arg')
      const results = list(node.args).map((branch) => {
        const when = at(branch, 'CaseWhen') ?? {}
        for (const condition of list(when.expr)) visit(walk, condition)
        return list(when.result).map((result) => visit(walk, result))[0]
      })
      return node.defresult === undefined ? 'its case has no else' : strict([...results, ...each('defresult')])
    }
    case 'A_ArrayExpr':
      each('elements')
      return undefined
    case 'A_Indirection':
      each('arg')
      for (const step of list(node.indirection))
        for (const index of ['lidx', 'uidx'])
          for (const child of list(at(step, 'A_Indices')?.[index])) visit(walk, child)
      return 'an array may have no such element'
    case 'TypeCast':
      return cast(walk, node, each('arg'))
    case 'FuncCall':
      return call(walk, node, each('args'))
    case 'CollateClause':
      return strict(each('arg'))
    case 'SQLValueFunction':
      return refuse(
        walk,
        node.location,
        'a value of the session or the clock',
        'A row may not depend on who reads it or when. A field named like it is written in double quotes: "user".',
      )
    case 'SubLink':
      return refuse(
        walk,
        node.location,
        'a subquery',
        'Take what it reads as a field of its own, with @from, @list or an aggregate.',
      )
    case 'ParamRef':
      return refuse(walk, node.location, 'a parameter', 'Write the value.')
    default:
      return refuse(
        walk,
        node.location,
        `${kind} can not stand here`,
        'Write operators, functions, case and coalesce over fields of this type.',
      )
  }
}

const constant = (walk: Walk, node: Tree): string | undefined => {
  if (node.isnull === true) return 'it has a null'
  const text = at(node, 'sval')?.sval
  if (typeof text === 'string' && /(^|\s)(now|today|tomorrow|yesterday)(\s|$)/i.test(text))
    walk.words.push(Number(node.location ?? 0))
  return undefined
}

const column = (walk: Walk, node: Tree): string | undefined => {
  const { inputs, owner, self } = walk.site
  const names = strings(node.fields)
  const [name = ''] = names
  const location = node.location
  if (names.length !== 1 || name === '' || name.startsWith('['))
    return refuse(
      walk,
      location,
      `${names.join('.').replace('[object Object]', '*')} is no field`,
      `Write a field of ${owner}, without a table.`,
    )
  const found = [...inputs.keys()].find((known) => known.toLowerCase() === name.toLowerCase())
  const input = found === undefined ? undefined : inputs.get(found)
  if (found === undefined || input === undefined)
    return refuse(
      walk,
      location,
      `${owner} has no field ${name}`,
      instead(
        name,
        [...inputs.keys()].filter((known) => known !== self),
      ),
    )
  if (found === self) return refuse(walk, location, `${found} reads itself`, 'Write what it is made of.')
  if (walk.quoted(location) && name !== name.toLowerCase())
    return refuse(
      walk,
      location,
      `"${name}" stands in double quotes`,
      `Write ${name} without them: names match ignoring case.`,
    )
  if (input.type === undefined || input.rows)
    return refuse(
      walk,
      location,
      `${found} is ${input.list ? 'a list' : 'a part'}, which an expression can not read`,
      'Take what you need of it as a field of its own.',
    )
  walk.inputs.add(found)
  if (input.type.kind === 'scalar' && (input.type.scalar === 'DateTime' || input.type.scalar === 'Date'))
    walk.instants = true
  return input.nonNull ? undefined : `${found} may be null`
}

const operation = (walk: Walk, node: Tree, nulls: readonly (string | undefined)[]): string | undefined => {
  const kind = String(node.kind)
  const name = strings(node.name).join('.')
  if (kind === 'AEXPR_DISTINCT' || kind === 'AEXPR_NOT_DISTINCT') return undefined
  if (kind === 'AEXPR_NULLIF') return 'nullif may give null'
  if (!operators.has(name.toLowerCase()))
    return refuse(
      walk,
      node.location,
      `no operator ${name} here`,
      `Use ${sentence([...operators].slice(0, 12), 'or')}.`,
    )
  if (name === '->' || name === '->>' || name === '#>' || name === '#>>') return 'JSON may have no such element'
  return nulls.find((why) => why !== undefined)
}

const cast = (walk: Walk, node: Tree, nulls: readonly (string | undefined)[]): string | undefined => {
  const name = strings(at(node, 'typeName')?.names)
    .filter((part) => part !== 'pg_catalog')
    .join('.')
  if (!types.has(name))
    return refuse(walk, node.location, `no cast to ${name} here`, `Cast to ${sentence([...types].slice(0, 10), 'or')}.`)
  if (['date', 'timestamp', 'timestamptz', 'time', 'timetz'].includes(name)) walk.instants = true
  return nulls.find((why) => why !== undefined)
}

const call = (walk: Walk, node: Tree, nulls: readonly (string | undefined)[]): string | undefined => {
  const name = strings(node.funcname)
    .filter((part) => part !== 'pg_catalog')
    .join('.')
  const known = functions.get(name)
  const location = node.location
  if (
    ['over', 'agg_star', 'agg_distinct', 'agg_filter', 'agg_order', 'agg_within_group'].some(
      (key) => node[key] !== undefined,
    ) ||
    known === 'aggregate'
  )
    return refuse(
      walk,
      location,
      `${name} is an aggregate or a window function`,
      'Use @count, @sum, @avg, @min or @max in a field of its own.',
    )
  if (known === undefined)
    return refuse(
      walk,
      location,
      `function ${name} is not known to be immutable`,
      instead(name, functions.keys()).replace('Known are', 'Use one of'),
    )
  if (known === 'volatile')
    return refuse(
      walk,
      location,
      `function ${name} gives another value each time or session`,
      'A row may depend only on its fields.',
    )
  if (known === 'null-skipping') return undefined
  if (known === 'may-be-null') return `${name} may give null`
  return nulls.find((why) => why !== undefined)
}
