/**
 * A JSON Schema as Kafka Connect would put it: what its converter wrote into one (`title`, `connect.type`, `connect.parameters`), and
 * of any other the shapes. Of what says less than a type (`anyOf` of several, conditions) nothing is known, which fits everything.
 */
import { type ConnectSchema, isObject, type JsonObject } from './document.ts'

/** `references`: other documents by the name that `$ref` calls them by. */
export const readJsonSchema = (schema: unknown, references: ReadonlyMap<string, unknown> = new Map()): ConnectSchema =>
  walk({ root: schema, references, open: new Set() }, schema)

type Walker = {
  readonly root: unknown
  readonly references: ReadonlyMap<string, unknown>
  /** Being walked: a schema may hold itself. */
  readonly open: ReadonlySet<unknown>
}
const anything: ConnectSchema = { type: 'any' }
const types: Readonly<Record<string, string>> = {
  object: 'struct',
  array: 'array',
  string: 'string',
  integer: 'int64',
  number: 'float64',
  boolean: 'boolean',
  null: 'null',
}

const walk = (walker: Walker, schema: unknown): ConnectSchema => {
  if (!isObject(schema) || walker.open.has(schema)) return anything
  const inside = { ...walker, open: new Set([...walker.open, schema]) }
  if (typeof schema.$ref === 'string') return referred(inside, schema.$ref)
  const several = [schema.oneOf, schema.anyOf, schema.type].find(Array.isArray) as readonly unknown[] | undefined
  if (several !== undefined) return branched(inside, schema, several)
  const given = typeof schema.type === 'string' ? types[schema.type] : undefined
  const type = given ?? (isObject(schema.properties) ? 'struct' : Array.isArray(schema.enum) ? 'string' : undefined)
  if (type === undefined) return anything
  return { ...described(schema, type), ...partsOf(inside, schema, type) }
}

const branched = (walker: Walker, schema: JsonObject, several: readonly unknown[]): ConnectSchema => {
  const branches = several.map((one) => walk(walker, typeof one === 'string' ? { ...schema, type: one } : one))
  const others = branches.filter(({ type }) => type !== 'null')
  const optional = others.length < branches.length
  const [only, second] = others
  if (only === undefined) return { type: 'null', optional: true }
  if (second !== undefined) return { ...anything, optional }
  return optional ? { ...only, optional } : only
}

const partsOf = (walker: Walker, schema: JsonObject, type: string): Partial<ConnectSchema> => {
  if (type === 'array') return { items: walk(walker, schema.items) }
  if (type !== 'struct' || !isObject(schema.properties)) return {}
  const required = new Set(Array.isArray(schema.required) ? schema.required : [])
  const fields = Object.entries(schema.properties).map(([field, property]) => {
    const read = walk(walker, property)
    return { ...read, field, ...(read.optional || !required.has(field) ? { optional: true } : {}) }
  })
  return schema.additionalProperties === false ? { fields } : { fields, open: true }
}

const described = (schema: JsonObject, type: string): ConnectSchema => {
  const { 'connect.type': narrower, title, format, enum: symbols } = schema
  const connect = typeof narrower === 'string' ? narrower : undefined
  const name = typeof title === 'string' && title.includes('.') ? title : undefined
  const parameters = isObject(schema['connect.parameters'])
    ? Object.fromEntries(Object.entries(schema['connect.parameters']).map(([key, value]) => [key, String(value)]))
    : {}
  const allowed = Array.isArray(symbols) ? symbols.filter((one) => typeof one === 'string').join(',') : ''
  const all = { ...parameters, ...(allowed === '' ? {} : { allowed }) }
  return {
    type: connect ?? type,
    ...(name !== undefined ? { name } : typeof format === 'string' ? { name: format } : {}),
    ...(Object.keys(all).length === 0 ? {} : { parameters: all }),
  }
}

/** `#/definitions/Address`, `#`, or another document's name. */
const referred = (walker: Walker, ref: string): ConnectSchema => {
  const [name = '', pointer = ''] = ref.split('#')
  const document = name === '' ? walker.root : walker.references.get(name)
  const steps = pointer.split('/').slice(1)
  const target = steps.reduce<unknown>(
    (at, step) => (isObject(at) ? at[step.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined),
    document,
  )
  return walk({ ...walker, root: document }, target)
}
