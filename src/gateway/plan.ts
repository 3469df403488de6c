/**
 * plan: what an operation means for one verdict. Every reference is authorised here, once: selected fields along their path,
 * conditions, orders, lookups. What remains to do per request are the values of variables.
 *
 * Operations were validated against the full schema, so a name that isn't in it is unknown (BAD_USER_INPUT), and one that is in
 * it but not in the role's shape is FORBIDDEN, and said so by its coordinate.
 */
import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLInputType,
  type GraphQLSchema,
  getNamedType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  typeFromAST,
  valueFromASTUntyped,
} from 'graphql'
import type { Shape, Verdict } from './access/verdict.ts'
import { refusal } from './errors.ts'
import { readFresh } from './freshness/fresh-directive.ts'
import { checkDocument, checkRows, checkVariables, limits } from './limits.ts'

export type Plan = {
  readonly document: DocumentNode
  readonly operation: OperationDefinitionNode
  /** By view: the fields to read. */
  readonly columns: ReadonlyMap<string, ReadonlySet<string>>
  /** Views of which more than those fields matters: rows are found by others, or are asked whether they are whole. */
  readonly whole: ReadonlySet<string>
  readonly roots: readonly { readonly root: Root; readonly node: FieldNode }[]
  /** Variables that hold conditions or orders: their values name fields too. */
  readonly inputs: readonly { readonly variable: string; readonly type: GraphQLInputType }[]
  /** Values of the answer derive from somebody's personal data, in whatever form. */
  readonly personal: boolean
  /** What `@fresh` asks; undefined: there is none. */
  readonly fresh: ReturnType<typeof readFresh>
}
/** A field of Query that answers with rows of a view. */
export type Root = { readonly view: string; readonly many: boolean; readonly key: ReadonlySet<string> }
export type Schemas = {
  readonly full: GraphQLSchema
  readonly roots: ReadonlyMap<string, Root>
  /** What the verdict's roles may see. */
  readonly role: GraphQLSchema
}

const forbidden = (coordinate: string, verdict: Verdict): Error =>
  refusal(
    'FORBIDDEN',
    `${coordinate} is not visible to ${verdict.roles.length ? `the roles of this token: ${verdict.roles.join(', ')}` : 'this token: it carries no role known here'}.`,
  )

/** Throws FORBIDDEN for a condition or order on a field that the role schema doesn't offer. */
const checkInput = (value: unknown, type: GraphQLInputType, schemas: Schemas, verdict: Verdict): void => {
  const named = getNamedType(type)
  if (!isInputObjectType(named)) return
  const own = schemas.role.getType(named.name)
  for (const item of Array.isArray(value) ? value : [value]) {
    if (typeof item !== 'object' || item === null) continue
    for (const [name, inner] of Object.entries(item)) {
      const field = named.getFields()[name]
      if (!field) continue
      const coordinate = field.extensions.coordinate
      const offered = isInputObjectType(own) && name in own.getFields()
      if (!offered && typeof coordinate === 'string') throw forbidden(coordinate, verdict)
      checkInput(inner, field.type, schemas, verdict)
    }
  }
}

const checkArguments = (node: FieldNode, schemas: Schemas, verdict: Verdict): void => {
  const offered = schemas.role.getQueryType()?.getFields()[node.name.value]?.args ?? []
  const all = schemas.full.getQueryType()?.getFields()[node.name.value]?.args ?? []
  for (const argument of node.arguments ?? []) {
    const name = argument.name.value
    const known = all.find((one) => one.name === name)
    if (!known) continue
    checkInput(valueFromASTUntyped(argument.value), known.type, schemas, verdict)
    if (offered.some((one) => one.name === name)) continue
    const coordinate = known.extensions.coordinate
    throw forbidden(typeof coordinate === 'string' ? coordinate : `Query.${node.name.value}(${name}:)`, verdict)
  }
}

/** Throws FORBIDDEN, TOO_COSTLY or BAD_USER_INPUT. */
const makePlan = (
  document: DocumentNode,
  operation: OperationDefinitionNode,
  schemas: Schemas,
  verdict: Verdict,
): Plan => {
  if (operation.operation !== 'query') {
    throw refusal(
      'BAD_USER_INPUT',
      operation.operation === 'subscription'
        ? 'Subscribe over a WebSocket at /graphql (graphql-transport-ws), or by an event stream from /graphql/stream.'
        : 'There is no mutation here: what is read changes at its sources.',
    )
  }
  checkDocument(document, operation)
  const fragments = new Map<string, FragmentDefinitionNode>(
    document.definitions.flatMap((one) => (one.kind === Kind.FRAGMENT_DEFINITION ? [[one.name.value, one]] : [])),
  )
  const columns = new Map<string, Set<string>>()
  const whole = new Set<string>()
  let personal = false
  const roots: { root: Root; node: FieldNode }[] = []
  type Place = { readonly shape: Shape; readonly view: string }

  const walk = (set: SelectionSetNode, typeName: string, at: Place | undefined): void => {
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) field(selection, typeName, at)
      else {
        const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : fragments.get(selection.name.value)
        if (!fragment) continue
        const on = fragment.typeCondition?.name.value ?? typeName
        walk(fragment.selectionSet, on, typeName === 'Node' && on !== 'Node' ? enter(on, on) : at)
      }
    }
  }
  const enter = (view: string, coordinate: string): Place => {
    const seen = verdict.views.get(view)
    if (!seen) throw forbidden(coordinate, verdict)
    if (!columns.has(view)) columns.set(view, new Set())
    return { shape: seen.shape, view }
  }
  const field = (node: FieldNode, typeName: string, at: Place | undefined): void => {
    const name = node.name.value
    if (name === '_freshness' && at && !isFieldsOnly(node, 'incomplete')) whole.add(at.view)
    if (name === '_bucket' && at && isShaped(typeName)) {
      const role = schemas.role.getType(typeName)
      if (!role || !('getFields' in role) || !('_bucket' in role.getFields()))
        throw forbidden(`${typeName}._bucket`, verdict)
      whole.add(at.view)
    }
    if (name.startsWith('_')) return
    if (typeName === 'Query') {
      const root = schemas.roots.get(name)
      if (name === 'forebay' && !verdict.operates) throw forbidden('Query.forebay', verdict)
      const place = root && enter(root.view, `Query.${name}`)
      if (root) {
        checkArguments(node, schemas, verdict)
        const byKey = !root.many && node.arguments?.every((one) => root.key.has(one.name.value))
        if (!byKey) whole.add(root.view)
        roots.push({ root, node })
      }
      below(node, typeName, place)
      return
    }
    if (!at || !isShaped(typeName)) {
      below(node, typeName, at)
      return
    }
    const seen = at.shape.get(name)
    if (!seen) throw forbidden(`${typeName}.${name}`, verdict)
    if (typeName === at.view) columns.get(at.view)?.add(name)
    personal ||= fieldsOf(typeName)[name]?.extensions.personal === true
    below(node, typeName, { view: at.view, shape: seen.part ?? new Map() })
  }
  const isShaped = (typeName: string): boolean => schemas.full.getType(typeName)?.extensions.shaped === true
  const fieldsOf = (typeName: string) => {
    const type = schemas.full.getType(typeName)
    return isObjectType(type) || isInterfaceType(type) ? type.getFields() : {}
  }
  const below = (node: FieldNode, typeName: string, at: Place | undefined): void => {
    if (!node.selectionSet) return
    const next = fieldsOf(typeName)[node.name.value]
    if (next) walk(node.selectionSet, getNamedType(next.type).name, at)
  }
  walk(operation.selectionSet, 'Query', undefined)

  const inputs = (operation.variableDefinitions ?? []).flatMap((definition) => {
    const type = typeFromAST(schemas.full, definition.type as Parameters<typeof typeFromAST>[1])
    if (!type || !isInputObjectType(getNamedType(type))) return []
    const input = type as GraphQLInputType
    if (definition.defaultValue) checkInput(valueFromASTUntyped(definition.defaultValue), input, schemas, verdict)
    return [{ variable: definition.variable.name.value, type: input }]
  })
  return { document, operation, columns, whole, roots, inputs, personal, fresh: readFresh(operation) }
}

/** Fields by name, none of them this one. */
const isFieldsOnly = ({ selectionSet }: FieldNode, without: string): boolean =>
  selectionSet?.selections.every((one) => one.kind === Kind.FIELD && one.name.value !== without) ?? false

const rowsAsked = (plan: Plan, variables: Readonly<Record<string, unknown>>): number => {
  let rows = 0
  for (const { root, node } of plan.roots) {
    const ids = root.key.has('ids') && node.arguments?.find(({ name }) => name.value === 'ids')?.value
    const keys = ids ? valueFromASTUntyped(ids, variables) : undefined
    if (Array.isArray(keys)) {
      rows += keys.length
      continue
    }
    const size = node.arguments?.find(({ name }) => name.value === 'first' || name.value === 'last')?.value
    const asked = size === undefined ? undefined : valueFromASTUntyped(size, variables)
    rows += root.many ? (typeof asked === 'number' ? Math.min(asked, limits.pageSize) : limits.defaultPageSize) : 1
  }
  return rows
}

/** Plans by document, operation and verdict; a document that the store forgets takes its plans with it. */
export const createPlanner = () => {
  const plans = new WeakMap<DocumentNode, Map<string, Plan>>()
  return (
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Readonly<Record<string, unknown>>,
    schemas: Schemas,
    verdict: Verdict,
  ): Plan => {
    let known = plans.get(document)
    if (!known) {
      known = new Map()
      plans.set(document, known)
    }
    const key = `${operation.name?.value ?? ''} ${verdict.key}`
    let plan = known.get(key)
    if (!plan) {
      plan = makePlan(document, operation, schemas, verdict)
      known.set(key, plan)
    }
    checkVariables(variables)
    for (const { variable, type } of plan.inputs) checkInput(variables[variable], type, schemas, verdict)
    checkRows(rowsAsked(plan, variables))
    return plan
  }
}
