/**
 * Bytes → changes. Pure but for the schemas at hand: the same record always comes to the same changes, and nothing a record holds makes
 * it throw.
 */
import type { Entity, Format, Model } from '../model/model.ts'
import { isSourced, sourcedColumns } from '../model/sourced.ts'
import { compileView } from '../model/sql/compile-view.ts'
import { columnOf, entityOf } from '../model/sql/row-scope.ts'
import type { Decoded, LogRecord } from './change.ts'
import { avroNames } from './decode/avro-names.ts'
import { readCloudEvent } from './decode/cloud-event.ts'
import { debeziumReader, type ReadRecord } from './decode/debezium.ts'
import { type Document, exactly, parseDocument } from './decode/document.ts'
import { eventReader } from './decode/event.ts'
import { DecodeFault, inexact } from './decode/fault.ts'
import { parseKey, type ReadKey } from './decode/key.ts'
import { type Needed, SchemaMisfit } from './decode/misfit.ts'
import { NeedsSchema, noSchemas, readRegistered, type Schemas } from './decode/registered.ts'
import { compileShape } from './decode/shape.ts'
import { compileTell, type Tell } from './decode/tell.ts'

export type Decoder = {
  /** Every topic that an entity reads. */
  readonly topics: readonly string[]
  /** One result for each entity that reads the record's topic; none for an unknown topic. `epoch`: the partition's. */
  decode(record: LogRecord, epoch: number): readonly Decoded[]
}

type Topic = {
  readonly readers: readonly { readonly entity: string; readonly read: ReadRecord; readonly tell: Tell }[]
  /** Undefined: no value, as a tombstone has. */
  readonly value: (record: LogRecord) => Document | undefined
  readonly key: ReadKey
}

/** `schemas`: what a registry's formats are read by. */
export const createDecoder = (model: Model, schemas: Schemas = noSchemas): Decoder => {
  const byTopic = Map.groupBy(model.entities.values(), ({ source }) => source.topic)
  const topics = new Map<string, Topic>()
  const needed = neededBy(model)
  for (const [topic, declared] of byTopic) {
    const entities = declared.map(asWritten)
    const readers = entities.map((entity) => ({
      entity: entity.name,
      read: readerOf(entity, model, entities, needed),
      tell: compileTell(entity, model.enums, entities),
    }))
    topics.set(topic, { readers, ...documentsOf(entities[0]!.source.format, schemas) })
  }
  return {
    topics: [...topics.keys()],
    decode(record, epoch) {
      const topic = topics.get(record.topic)
      return topic === undefined ? [] : decodeFor(topic, record, epoch)
    },
  }
}

/** Readers of one topic have one format. */
const documentsOf = (format: Format, schemas: Schemas): Pick<Topic, 'value' | 'key'> => {
  const values = new Map()
  const keys = new Map()
  const json = (value: Buffer): Document => parseDocument(value, values)
  const registered = (record: LogRecord): Document | undefined => readRegistered(record, 'value', schemas)
  const plainKey: ReadKey = (_, key) => parseKey(key, keys)
  // Producers often leave keys in a plainer format than values.
  const registeredKey: ReadKey = (record, key) => {
    const document = readRegistered(record, 'key', schemas)
    return document === undefined ? parseKey(key, keys) : exactly(document)
  }
  const key = isRegistered(format) ? registeredKey : plainKey
  switch (format) {
    case 'DEBEZIUM':
    case 'JSON':
      return { value: ({ value }) => (value === null ? undefined : json(value)), key }
    case 'CLOUDEVENTS':
    case 'CLOUDEVENTS_AVRO':
      return {
        value: (record) =>
          readCloudEvent(record, {
            json: () => json(record.value!),
            registered: () => (isRegistered(format) ? registered(record) : undefined),
          }),
        key,
      }
    case 'DEBEZIUM_AVRO':
    case 'AVRO':
    case 'JSON_SCHEMA':
      return {
        value(record) {
          if (record.value === null) return undefined
          const document = registered(record)
          if (document) return document
          throw new DecodeFault(
            'carries no schema id: its first byte is neither 0 nor 1, as a registry’s formats begin',
          )
        },
        key,
      }
  }
}

/** Formats whose records name their schema in a registry. */
export const isRegistered = (format: Format): boolean => {
  switch (format) {
    case 'DEBEZIUM_AVRO':
    case 'AVRO':
    case 'JSON_SCHEMA':
    case 'CLOUDEVENTS_AVRO':
      return true
    case 'DEBEZIUM':
    case 'JSON':
    case 'CLOUDEVENTS':
      return false
  }
}

const decodeFor = (topic: Topic, record: LogRecord, epoch: number): readonly Decoded[] => {
  let document: Document | undefined
  try {
    document = topic.value(record)
  } catch (error) {
    return topic.readers.map((reader) => without(reader, topic.key, record, undefined, epoch, error))
  }
  return topic.readers.map((reader) => {
    const { read } = reader
    try {
      return read(record, document, epoch, topic.key)
    } catch (error) {
      if (error !== inexact || document === undefined) return without(reader, topic.key, record, document, epoch, error)
    }
    try {
      document = exactly(document)
      return read(record, document, epoch, topic.key)
    } catch (error) {
      return without(reader, topic.key, record, document, epoch, error)
    }
  })
}

/** Asked only of schemas that lack a column: compiling every view takes a while. */
export const neededBy = (model: Model): Needed => {
  let read: Set<string> | undefined
  return (entity, column) => {
    read ??= new Set(
      [...model.views.values()].flatMap((view) =>
        compileView(model, view).paths.flatMap(({ entity, values, watched }) =>
          [...values, ...watched]
            .flatMap((name) => columnOf(entityOf(model, entity), name).computed?.inputs ?? [name])
            .map((name) => `${entity}.${name}`),
        ),
      ),
    )
    return read.has(`${entity}.${column}`)
  }
}

/** What a record comes to that could not be read. */
const without = (
  { entity, tell }: Topic['readers'][number],
  key: ReadKey,
  record: LogRecord,
  document: Document | undefined,
  epoch: number,
  error: unknown,
): Decoded => {
  try {
    if (error instanceof NeedsSchema) throw error
    const kind = error instanceof SchemaMisfit ? 'stopped' : 'bad'
    return { kind, entity, reason: reasonOf(error), epoch, told: tell(record, document, key) }
  } catch (needed) {
    if (needed instanceof NeedsSchema) return { kind: 'unprepared', schema: needed.ref }
    throw needed
  }
}

const reasonOf = (error: unknown): string => {
  if (error instanceof DecodeFault || error instanceof SchemaMisfit) return error.message
  // A value nested too deep for the stack: its message holds no data, but other errors' might.
  return error instanceof RangeError ? 'is nested too deep' : 'could not be decoded'
}

/** Of what records hold, with the names that their format can hold. */
export const asWritten = (declared: Entity): Entity => {
  const entity = declared.columns.every(isSourced) ? declared : { ...declared, columns: sourcedColumns(declared) }
  return entity.source.format.endsWith('AVRO') ? avroNames(entity) : entity
}

const readerOf = (entity: Entity, model: Model, siblings: readonly Entity[], needed: Needed): ReadRecord => {
  const shape = compileShape(entity, model.enums, siblings)
  switch (entity.source.format) {
    case 'DEBEZIUM':
    case 'DEBEZIUM_AVRO':
      return debeziumReader(entity, model.enums, shape, needed)
    case 'AVRO':
    case 'JSON':
    case 'JSON_SCHEMA':
    case 'CLOUDEVENTS':
    case 'CLOUDEVENTS_AVRO':
      return eventReader(entity, model.enums, shape, needed)
  }
}
