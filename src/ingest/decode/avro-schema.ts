/**
 * An Avro schema as Kafka Connect would put it, so that Avro's records are judged and converted as JSON's are; and the same schema
 * made ready for a reader that gives JSON's values.
 *
 * | Avro | here |
 * |---|---|
 * | union with null | the other branch, optional |
 * | union of several | a value of whichever branch was written; of records, the fields of all |
 * | record, array, map | struct, array, map |
 * | bytes, fixed | bytes, whose value is base64 |
 * | enum | string, its symbols as the parameter `allowed` |
 * | `connect.name` | the name; else decimal's and uuid's own, else the logical type |
 */
import { type ConnectSchema, isObject, type JsonObject } from './document.ts'

/** Throws where a name is not defined or a part is no schema. `schema`: with logical types that make JSON's values of Avro's. */
export const readAvroSchema = (
  avro: unknown,
  names: Map<string, Named>,
): { readonly schema: unknown; readonly connect: ConnectSchema } => {
  const walker: Walker = { names, several: holdsSeveral(avro) }
  return walk(walker, avro, '')
}

export type Named = ConnectSchema
type Walker = { readonly names: Map<string, Named>; readonly several: boolean }
type Walked = { readonly schema: unknown; readonly connect: ConnectSchema }

/** Logical types of our own: what a value becomes. */
export const asBase64 = 'forebay-base64'
export const asUuid = 'forebay-uuid'
export const asShortest = 'forebay-shortest'
/** Nothing: but a union of logical types needs no telling apart, which only writers do. */
export const asIs = 'forebay-as-is'

const primitives: Readonly<Record<string, string>> = {
  null: 'null',
  boolean: 'boolean',
  int: 'int32',
  long: 'int64',
  float: 'float32',
  double: 'float64',
  bytes: 'bytes',
  string: 'string',
}

const walk = (walker: Walker, avro: unknown, namespace: string): Walked => {
  if (typeof avro === 'string') return reference(walker, avro, namespace)
  if (Array.isArray(avro)) return union(walker, avro, namespace)
  if (!isObject(avro)) throw new Error('a part of it is no Avro schema')
  const { type } = avro
  if (typeof type !== 'string') return walk(walker, type, namespace)
  switch (type) {
    case 'record':
    case 'error':
      return record(walker, avro, namespace)
    case 'enum': {
      const { full } = nameOf(avro, namespace)
      const symbols = Array.isArray(avro.symbols) ? avro.symbols.join(',') : ''
      const connect = { ...described('string', avro), parameters: { ...parametersOf(avro), allowed: symbols } }
      walker.names.set(full, connect)
      return { schema: bare(avro, walker.several ? asIs : undefined), connect }
    }
    case 'fixed': {
      const { full } = nameOf(avro, namespace)
      const connect = described('bytes', avro)
      walker.names.set(full, connect)
      return { schema: bare(avro, avro.logicalType === 'uuid' && avro.size === 16 ? asUuid : asBase64), connect }
    }
    case 'array': {
      const items = walk(walker, avro.items, namespace)
      const connect = { ...described('array', avro), items: items.connect }
      return { schema: { ...bare(avro, walker.several ? asIs : undefined), items: items.schema }, connect }
    }
    case 'map': {
      const values = walk(walker, avro.values, namespace)
      const connect = { ...described('map', avro), values: values.connect }
      return { schema: { ...bare(avro, walker.several ? asIs : undefined), values: values.schema }, connect }
    }
    default: {
      if (!Object.hasOwn(primitives, type)) return reference(walker, type, namespace)
      return { schema: primitive(walker, type), connect: described(primitives[type]!, avro) }
    }
  }
}

const primitive = (walker: Walker, type: string): unknown => {
  if (type === 'bytes') return { type, logicalType: asBase64 }
  if (type === 'float') return { type, logicalType: asShortest }
  // Longs are told apart by their own type already, null by being null.
  return walker.several && type !== 'long' && type !== 'null' ? { type, logicalType: asIs } : type
}

const reference = (walker: Walker, name: string, namespace: string): Walked => {
  if (Object.hasOwn(primitives, name)) return { schema: primitive(walker, name), connect: { type: primitives[name]! } }
  const full = name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
  const connect = walker.names.get(full) ?? walker.names.get(name)
  if (connect === undefined) throw new Error(`it names ${full}, which it does not define`)
  return { schema: walker.names.has(full) ? full : name, connect }
}

const union = (walker: Walker, branches: readonly unknown[], namespace: string): Walked => {
  const walked = branches.map((branch) => walk(walker, branch, namespace))
  const schema = walked.map((branch) => branch.schema)
  const others = walked.map(({ connect }) => connect).filter(({ type }) => type !== 'null')
  const optional = others.length < walked.length
  const [only, second] = others
  if (only === undefined) return { schema, connect: { type: 'null', optional: true } }
  if (second === undefined) return { schema, connect: optional ? { ...only, optional } : only }
  const fields = others.flatMap((branch) => branch.fields ?? [])
  return { schema, connect: { type: 'union', ...(optional ? { optional } : {}), fields, branches: others } }
}

/** Registered before its fields are read, since a record may hold itself. */
const record = (walker: Walker, avro: JsonObject, namespace: string): Walked => {
  const { full, inside } = nameOf(avro, namespace)
  const fields: ConnectSchema[] = []
  const connect: ConnectSchema = { name: full, ...described('struct', avro), fields }
  walker.names.set(full, connect)
  const given = Array.isArray(avro.fields) ? (avro.fields as readonly unknown[]) : []
  const schemas = given.map((field) => {
    if (!isObject(field) || typeof field.name !== 'string') throw new Error(`a field of ${full} has no name`)
    const { schema, connect } = walk(walker, field.type, inside)
    fields.push({ ...connect, field: field.name })
    return { name: field.name, type: schema }
  })
  return { schema: { ...bare(avro, walker.several ? asIs : undefined), fields: schemas }, connect }
}

const nameOf = (avro: JsonObject, namespace: string): { readonly full: string; readonly inside: string } => {
  const name = String(avro.name)
  const dot = name.lastIndexOf('.')
  if (dot >= 0) return { full: name, inside: name.slice(0, dot) }
  const inside = typeof avro.namespace === 'string' ? avro.namespace : namespace
  return { full: inside === '' ? name : `${inside}.${name}`, inside }
}

/** Without defaults and aliases, which are for readers with a schema of their own, and without what others wrote beside it. */
const bare = (avro: JsonObject, logicalType: string | undefined): JsonObject => {
  const { type, name, namespace, symbols, size } = avro
  const kept = Object.entries({ type, name, namespace, symbols, size, logicalType })
  return Object.fromEntries(kept.filter(([, value]) => value !== undefined))
}

const decimalName = 'org.apache.kafka.connect.data.Decimal'
const described = (type: string, avro: JsonObject): ConnectSchema => {
  const { 'connect.name': given, 'connect.type': narrower, logicalType, scale } = avro
  const name = text(given) ?? (logicalType === 'decimal' ? decimalName : text(logicalType))
  const parameters = { ...(name === decimalName ? { scale: String(scale ?? 0) } : {}), ...parametersOf(avro) }
  return {
    type: text(narrower) ?? type,
    ...(name === undefined ? {} : { name }),
    ...(Object.keys(parameters).length === 0 ? {} : { parameters }),
  }
}

const parametersOf = (avro: JsonObject): Readonly<Record<string, string>> => {
  const given = avro['connect.parameters']
  return isObject(given) ? Object.fromEntries(Object.entries(given).map(([name, value]) => [name, String(value)])) : {}
}

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

/** A union of more than one type beside null occurs. */
const holdsSeveral = (avro: unknown): boolean => {
  if (Array.isArray(avro)) {
    return avro.filter((branch) => branch !== 'null').length > 1 || avro.some(holdsSeveral)
  }
  return (
    isObject(avro) &&
    [avro.type, avro.items, avro.values, avro.fields].some((part) =>
      part === avro.fields && Array.isArray(part) ? part.some(holdsSeveral) : holdsSeveral(part),
    )
  )
}
