/** Schemas at hand for decoding, and records captured in Confluent's framing. */
import { readFileSync } from 'node:fs'
import type { LogRecord } from '../../src/ingest/change.ts'
import { compileAvro } from '../../src/ingest/decode/avro.ts'
import { readJsonSchema } from '../../src/ingest/decode/json-schema.ts'
import { type KnownSchema, type Schemas, schemaOf } from '../../src/ingest/decode/registered.ts'

const samples = new URL('../samples/avro/', import.meta.url)

/** By id: Avro, or `{ json: … }` a JSON Schema. */
export const schemasOf = (given: Readonly<Record<string, object>>): Schemas => {
  const known = new Map(Object.entries(given).map(([id, schema]) => [id, knownOf(schema)]))
  const history = [...known].flatMap(([id, one]) => {
    const schema = schemaOf(one)
    return schema && /^\d+$/.test(id) ? [{ id: Number(id), schema }] : []
  })
  return { get: (ref) => known.get(ref), history: () => history }
}
const knownOf = (schema: object): KnownSchema =>
  'json' in schema
    ? { kind: 'JSON', schema: readJsonSchema(schema.json) }
    : { kind: 'AVRO', reader: compileAvro(JSON.stringify(schema)) }

export const capturedSchemas = (): Readonly<Record<string, object>> =>
  JSON.parse(readFileSync(new URL('schemas.json', samples), 'utf8')) as Record<string, object>

type Line = {
  readonly topic: string
  readonly partition: number
  readonly offset: string
  readonly key_b64: string | null
  readonly value_b64: string | null
}
export const capturedRecords = (file: string): readonly LogRecord[] =>
  readFileSync(new URL(file, samples), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const { topic, partition, offset, key_b64: key, value_b64: value } = JSON.parse(line) as Line
      const bytes = (text: string | null) => (text === null ? null : Buffer.from(text, 'base64'))
      return {
        topic,
        partition,
        offset: BigInt(offset),
        timestamp: 0,
        headers: {},
        key: bytes(key),
        value: bytes(value),
      }
    })

/** Magic byte, the schema's id, the data. */
export const framed = (id: number, data: Buffer): Buffer => {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(id, 1)
  return Buffer.concat([head, data])
}
