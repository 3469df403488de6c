/**
 * Keys and values in a registry's formats, read by the schemas that are at hand. Reading never waits: what a record needs and isn't at
 * hand is said by NeedsSchema, so that somebody can fetch it and read the record once more.
 */
import type { LogRecord } from '../change.ts'
import type { AvroReader } from './avro.ts'
import { type ConnectSchema, type Document, parseDocument } from './document.ts'
import { DecodeFault } from './fault.ts'
import { framedIn, type SchemaRef } from './framing.ts'

/** What is known of a schema. `bad`: the registry has none of that id, or one that can't be read by; the reason says which. */
export type KnownSchema =
  | { readonly kind: 'AVRO'; readonly reader: AvroReader }
  | { readonly kind: 'JSON'; readonly schema: ConnectSchema }
  | { readonly kind: 'bad'; readonly reason: string }
/** The schemas at hand, by what the records of a topic name them by. */
export type Schemas = {
  get(ref: SchemaRef, topic: string): KnownSchema | undefined
  /** Those that can be read by and have a number, in its order. */
  history(topic: string): readonly { readonly id: number; readonly schema: ConnectSchema }[]
}
export const noSchemas: Schemas = { get: () => undefined, history: () => [] }

export const schemaOf = (known: KnownSchema): ConnectSchema | undefined => {
  switch (known.kind) {
    case 'AVRO':
      return known.reader.schema
    case 'JSON':
      return known.schema
    case 'bad':
      return undefined
  }
}

export class NeedsSchema extends Error {
  readonly ref: SchemaRef
  constructor(ref: SchemaRef) {
    super(`needs schema ${ref}`)
    this.ref = ref
  }
}

/** Throws DecodeFault, or NeedsSchema. Undefined: it carries no schema's id. */
export const readRegistered = (record: LogRecord, part: 'key' | 'value', schemas: Schemas): Document | undefined => {
  const framed = framedIn(record, part)
  if (framed === undefined) return undefined
  const { ref, data } = framed
  const known = schemas.get(ref, record.topic)
  if (known === undefined) throw new NeedsSchema(ref)
  const registration = { ref, history: () => schemas.history(record.topic) }
  switch (known.kind) {
    case 'AVRO': {
      const { schema, read } = known.reader
      return { payload: read(data), schema, registration, exact: true, escapes: true, text: '', wrapped: false }
    }
    case 'JSON':
      return { ...parseDocument(data, new Map()), schema: known.schema, registration }
    case 'bad':
      throw new DecodeFault(known.reason)
  }
}
