/**
 * Bytes → changes. Pure: the same record always comes to the same changes, and nothing a record holds makes it throw.
 */
import type { Entity, Model } from '../model/model.ts'
import type { Decoded, LogRecord } from './change.ts'
import { debeziumReader, type ReadRecord } from './decode/debezium.ts'
import { type Document, exactly, parseDocument, type SchemaCache } from './decode/document.ts'
import { eventReader } from './decode/event.ts'
import { DecodeFault, inexact } from './decode/fault.ts'
import { compileShape } from './decode/shape.ts'

export type Decoder = {
  /** Every topic that an entity reads. */
  readonly topics: readonly string[]
  /** One result for each entity that reads the record's topic; none for an unknown topic. `epoch`: the partition's. */
  decode(record: LogRecord, epoch: number): readonly Decoded[]
}

type Topic = {
  readonly readers: readonly { readonly entity: string; readonly read: ReadRecord }[]
  readonly values: SchemaCache
  readonly keys: SchemaCache
}

/** Throws for a format that no reader knows yet; `forebay check` refuses those first. */
export const createDecoder = (model: Model): Decoder => {
  const byTopic = Map.groupBy(model.entities.values(), ({ source }) => source.topic)
  const topics = new Map<string, Topic>()
  for (const [topic, entities] of byTopic) {
    const readers = entities.map((entity) => ({ entity: entity.name, read: readerOf(entity, model, entities) }))
    topics.set(topic, { readers, values: new Map(), keys: new Map() })
  }
  return {
    topics: [...topics.keys()],
    decode(record, epoch) {
      const topic = topics.get(record.topic)
      return topic === undefined ? [] : decodeFor(topic, record, epoch)
    },
  }
}

const decodeFor = (topic: Topic, record: LogRecord, epoch: number): readonly Decoded[] => {
  let document: Document | undefined
  try {
    document = record.value === null ? undefined : parseDocument(record.value, topic.values)
  } catch (error) {
    return topic.readers.map(({ entity }) => bad(entity, error))
  }
  return topic.readers.map(({ entity, read }) => {
    try {
      return read(record, document, epoch, topic.keys)
    } catch (error) {
      if (error !== inexact || document === undefined) return bad(entity, error)
    }
    try {
      document = exactly(document)
      return read(record, document, epoch, topic.keys)
    } catch (error) {
      return bad(entity, error)
    }
  })
}

const bad = (entity: string, error: unknown): Decoded => {
  if (error instanceof DecodeFault) return { kind: 'bad', entity, reason: error.message }
  // A value nested too deep for the stack: its message holds no data, but other errors' might.
  return { kind: 'bad', entity, reason: error instanceof RangeError ? 'is nested too deep' : 'could not be decoded' }
}

const readerOf = (entity: Entity, model: Model, siblings: readonly Entity[]): ReadRecord => {
  const shape = compileShape(entity, model.enums, siblings)
  switch (entity.source.format) {
    case 'DEBEZIUM':
      return debeziumReader(entity, model.enums, shape)
    case 'JSON':
    case 'CLOUDEVENTS':
      return eventReader(entity, model.enums, shape)
    case 'DEBEZIUM_AVRO':
    case 'AVRO':
    case 'JSON_SCHEMA':
      throw new Error(`${entity.name} reads ${entity.source.format}, which is not supported yet: use DEBEZIUM or JSON`)
  }
}
