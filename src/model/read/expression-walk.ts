/**
 * A walk over Postgres's parse tree of an @expr. Only what is deterministic passes: sessions run in UTC with fixed settings, so
 * functions that Postgres calls stable for their sake alone are allowed. On the way it is learnt whether the value can be null,
 * and, where that is plain, what kind of value it is.
 */
import { functions, operators, types } from './expression-catalog.ts'
import { items, strings, type Tree, treeAt, trees } from './expression-tree.ts'
import { instead, sentence } from './fault.ts'

export type ValueKind = 'boolean' | 'number' | 'text'

/** A field that the expression may read. `readable`: it holds one value, or a stored list; else `unreadable` says why. `values`: an enum's. */
export type Input = {
  readonly readable: boolean
  readonly unreadable?: readonly [problem: string, remedy: string]
  readonly nonNull: boolean
  readonly instant: boolean
  readonly kind?: ValueKind
  readonly values?: readonly string[]
}
export type ExpressionSite = {
  readonly owner: string
  readonly self: string
  readonly inputs: ReadonlyMap<string, Input>
  readonly result: { readonly name: string; readonly kind: ValueKind | undefined }
  /** `offset`: characters into the SQL. */
  readonly fault: (offset: number, problem: string, remedy: string) => undefined
}

/** Locations are bytes into the parsed text. */
export type Walk = {
  readonly site: ExpressionSite
  readonly offsetOf: (byte: number) => number
  /** The word that stands there, quotes included. */
  readonly writtenAt: (byte: number) => string
  readonly inputs: Set<string>
  /** Where each stands, in bytes. */
  readonly fields: { readonly field: string; readonly byte: number; readonly length: number }[]
  /** Where text stands that Postgres would read as the current time, were it an instant. */
  readonly clockWords: number[]
  faulty: boolean
  /** Instants or days take part. */
  instants: boolean
}
/** `nullable`: why it may be null. `kind`: what it is, where that is plain. */
export type Seen = { readonly nullable?: string | undefined; readonly kind?: ValueKind | undefined }

const byteOf = (node: Tree): number => (typeof node.location === 'number' ? node.location : 0)
const unqualified = (names: readonly string[]): string => names.filter((name) => name !== 'pg_catalog').join('.')

export const refuse = (walk: Walk, byte: number, problem: string, remedy: string): Seen => {
  walk.faulty = true
  walk.site.fault(walk.offsetOf(byte), problem, remedy)
  return {}
}

/** A node's children, lists opened. */
const visitAll = (walk: Walk, ...children: readonly unknown[]): readonly Seen[] =>
  children.flatMap(items).map((child) => visit(walk, child))

const anyNull = (seen: readonly Seen[]): string | undefined =>
  seen.find(({ nullable }) => nullable !== undefined)?.nullable
const common = (seen: readonly Seen[]): ValueKind | undefined =>
  seen.every(({ kind }) => kind === seen[0]?.kind) ? seen[0]?.kind : undefined

export const visit = (walk: Walk, tree: Tree): Seen => {
  const [name = '', inner] = Object.entries(tree)[0] ?? []
  const node = trees(inner)[0] ?? {}
  switch (name) {
    case 'A_Const':
      return visitConstant(walk, node)
    case 'ColumnRef':
      return visitField(walk, node)
    case 'A_Expr':
      return visitOperation(walk, node)
    case 'BoolExpr':
      return { nullable: anyNull(visitAll(walk, node.args)), kind: 'boolean' }
    case 'NullTest':
    case 'BooleanTest':
      visitAll(walk, node.arg)
      return { kind: 'boolean' }
    case 'CoalesceExpr':
    case 'MinMaxExpr': {
      const seen = visitAll(walk, node.args)
      return {
        nullable: seen.some(({ nullable }) => nullable === undefined) ? undefined : anyNull(seen),
        kind: common(seen),
      }
    }
    case 'CaseExpr':
      return visitCase(walk, node)
    case 'A_ArrayExpr':
      visitAll(walk, node.elements)
      return {}
    case 'A_Indirection':
      visitAll(
        walk,
        node.arg,
        ...trees(node.indirection).flatMap((step) => [
          treeAt(step, 'A_Indices', 'lidx'),
          treeAt(step, 'A_Indices', 'uidx'),
        ]),
      )
      return { nullable: 'an array may have no such element' }
    case 'TypeCast':
      return visitCast(walk, node)
    case 'FuncCall':
      return visitCall(walk, node)
    case 'CollateClause':
      return { nullable: anyNull(visitAll(walk, node.arg)), kind: 'text' }
    case 'SQLValueFunction':
      return refuse(
        walk,
        byteOf(node),
        'a value of the session or the clock',
        'A row may not depend on who reads it or when. A field of that name is written in double quotes: "user".',
      )
    case 'SubLink':
      return refuse(
        walk,
        byteOf(node),
        'a subquery',
        'Take what it reads as a field of its own, with @from, @list or an aggregate.',
      )
    case 'ParamRef':
      return refuse(walk, byteOf(node), 'a parameter', 'Write the value.')
    default:
      return refuse(
        walk,
        byteOf(node),
        `${name} can not stand here`,
        'Write operators, functions, case and coalesce over fields.',
      )
  }
}

const visitConstant = (walk: Walk, node: Tree): Seen => {
  if (node.isnull === true) return { nullable: 'it has a null' }
  const text = treeAt(node, 'sval')?.sval
  if (typeof text === 'string' && /(^|\s)(now|today|tomorrow|yesterday)(\s|$)/i.test(text))
    walk.clockWords.push(byteOf(node))
  return { kind: 'ival' in node || 'fval' in node ? 'number' : 'boolval' in node ? 'boolean' : undefined }
}

const visitField = (walk: Walk, node: Tree): Seen => {
  const { inputs, owner, self } = walk.site
  const names = strings(node.fields)
  const written = walk.writtenAt(byteOf(node))
  const name = names[0] ?? ''
  if (names.length !== 1 || name === '*')
    return refuse(walk, byteOf(node), `${names.join('.')} is no field`, `Write a field of ${owner}, without a table.`)
  const found = [...inputs.keys()].find((known) => known.toLowerCase() === name.toLowerCase())
  if (found === undefined) {
    const others = [...inputs.keys()].filter((known) => known !== self)
    return refuse(
      walk,
      byteOf(node),
      `${owner} has no field ${written.replaceAll('"', '')}`,
      `${instead(written, others)} An expression reads fields of ${owner} itself.`,
    )
  }
  if (found === self) return refuse(walk, byteOf(node), `${found} reads itself`, 'Write what it is made of.')
  if (written.startsWith('"') && name !== name.toLowerCase())
    return refuse(
      walk,
      byteOf(node),
      `${written} stands in double quotes`,
      `Write ${name} without them: names match ignoring case.`,
    )
  const input = inputs.get(found)!
  if (!input.readable)
    return refuse(
      walk,
      byteOf(node),
      ...(input.unreadable ?? [
        `${found} is a part or a list of rows, which an expression can not read`,
        'Take what you need of it as a field of its own.',
      ]),
    )
  walk.inputs.add(found)
  walk.fields.push({ field: found, byte: byteOf(node), length: Buffer.byteLength(written) })
  if (input.instant) walk.instants = true
  return { nullable: input.nonNull ? undefined : `${found} may be null`, kind: input.kind }
}

const visitOperation = (walk: Walk, node: Tree): Seen => {
  const seen = visitAll(walk, node.lexpr, node.rexpr)
  const name = strings(node.name).join('.').toLowerCase()
  switch (node.kind) {
    case 'AEXPR_DISTINCT':
    case 'AEXPR_NOT_DISTINCT':
      return { kind: 'boolean' }
    case 'AEXPR_NULLIF':
      return { nullable: 'nullif may give null', kind: seen[0]?.kind }
    default:
  }
  if (!operators.has(name))
    return refuse(
      walk,
      byteOf(node),
      `no operator ${name} here`,
      `Use ${sentence(['+', '-', '*', '/', '%', '||', '=', '<>', '<', '<=', '>', '>='], 'or')}.`,
    )
  if (name === '=' || name === '<>') checkEnum(walk, node)
  if (['->', '->>', '#>', '#>>'].includes(name)) return { nullable: 'JSON may have no such element' }
  const arithmetic = ['+', '-', '*', '/', '%', '^'].includes(name)
  const kind = arithmetic ? common(seen) : name === '||' ? undefined : operators.get(name)
  return { nullable: anyNull(seen), kind }
}

/** Text compared with an enum must be one of its values: Postgres stores plain text and would never complain. */
const checkEnum = (walk: Walk, node: Tree): void => {
  const sides = [node.lexpr, node.rexpr].map(items)
  for (const [index, side] of sides.entries()) {
    const [name] = strings(treeAt(side[0], 'ColumnRef')?.fields)
    const found = [...walk.site.inputs].find(([known]) => known.toLowerCase() === name?.toLowerCase())
    const values = found?.[1].values
    if (found === undefined || values === undefined) continue
    for (const other of sides[1 - index] ?? []) {
      const text = treeAt(other, 'A_Const', 'sval')?.sval
      if (typeof text === 'string' && !values.includes(text))
        refuse(
          walk,
          byteOf(treeAt(other, 'A_Const') ?? {}),
          `'${text}' is no value of ${found[0]}`,
          instead(text, values),
        )
    }
  }
}

const visitCase = (walk: Walk, node: Tree): Seen => {
  visitAll(walk, node.arg)
  const branches = trees(node.args).map((branch) => treeAt(branch, 'CaseWhen') ?? {})
  for (const branch of branches) visitAll(walk, branch.expr)
  const results = visitAll(walk, ...branches.map((branch) => branch.result), node.defresult)
  return { nullable: node.defresult === undefined ? 'its case has no else' : anyNull(results), kind: common(results) }
}

export const castKinds: Readonly<Record<string, ValueKind>> = {
  int2: 'number',
  int4: 'number',
  int8: 'number',
  numeric: 'number',
  float4: 'number',
  float8: 'number',
  text: 'text',
  varchar: 'text',
  bpchar: 'text',
  bool: 'boolean',
}

const visitCast = (walk: Walk, node: Tree): Seen => {
  const seen = visitAll(walk, node.arg)
  const name = unqualified(strings(treeAt(node, 'typeName')?.names))
  const array = treeAt(node, 'typeName')?.arrayBounds !== undefined
  if (!types.has(name))
    return refuse(walk, byteOf(node), `no cast to ${name} here`, `Cast to ${sentence([...types].slice(0, 10), 'or')}.`)
  if (['date', 'timestamp', 'timestamptz'].includes(name)) walk.instants = true
  return { nullable: anyNull(seen), kind: array ? undefined : castKinds[name] }
}

const visitCall = (walk: Walk, node: Tree): Seen => {
  const name = unqualified(strings(node.funcname))
  const known = functions.get(name)
  const grouping = ['over', 'agg_star', 'agg_distinct', 'agg_filter', 'agg_order', 'agg_within_group']
  if (known === 'aggregate' || grouping.some((key) => node[key] !== undefined))
    return refuse(
      walk,
      byteOf(node),
      `${name} is an aggregate or a window function`,
      'Use @count, @sum, @avg, @min or @max in a field of its own.',
    )
  const seen = visitAll(walk, node.args)
  switch (known) {
    case undefined:
      return refuse(
        walk,
        byteOf(node),
        `function ${name} is not known to be immutable`,
        instead(name, functions.keys()).replace('Known are', 'Use one of'),
      )
    case 'volatile':
      return refuse(
        walk,
        byteOf(node),
        `function ${name} gives another value each time or session`,
        'A row may depend only on its fields.',
      )
    case 'null-skipping':
      return {}
    case 'may-be-null':
      return { nullable: `${name} may give null` }
    case 'first-strict':
      return { nullable: seen[0]?.nullable }
    case 'strict':
      return { nullable: anyNull(seen) }
  }
}
