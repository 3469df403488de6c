/**
 * CloudEvents 1.0 as a log carries them (their Kafka protocol binding). Names of headers are taken in any case.
 *
 * | mode | known by | the event |
 * |---|---|---|
 * | structured | `content-type: application/cloudevents+json`, or neither that nor `ce_specversion` | the value, in JSON |
 * | binary | `ce_specversion` | `ce_` headers are its attributes, `content-type` its data's, the value is the data |
 * | batched | `application/cloudevents-batch+json`, or an array | refused: a record is one change at most |
 *
 * Data is JSON or, in format CLOUDEVENTS_AVRO, by a registry's schema. Data of another type is judged only once the event is known to be
 * one that the entity reads.
 */
import type { LogRecord } from '../change.ts'
import { bytesOfBase64 } from './decimal.ts'
import { type ConnectSchema, type Document, exactly, isObject, noDocument, parseDocument } from './document.ts'
import { DecodeFault } from './fault.ts'
import { headerText } from './header.ts'

/** What reads a value: as JSON, and by a registry's schema where it names one. */
export type Readers = { readonly json: () => Document; readonly registered: () => Document | undefined }

/** Undefined: a tombstone. Throws DecodeFault, and what the readers throw. */
export const readCloudEvent = (record: LogRecord, readers: Readers): Document | undefined => {
  const given = headersOf(record)
  const media = mediaType(given.get('content-type'))
  if (media.startsWith('application/cloudevents-batch')) throw batched()
  const structured = media.startsWith('application/cloudevents')
  if (structured && media !== 'application/cloudevents+json')
    throw new DecodeFault(`is a CloudEvent in ${media}, which is not read: send application/cloudevents+json`)
  if (structured || !given.has('ce_specversion'))
    return record.value === null ? undefined : (readers.registered() ?? readers.json())
  const attributes: Record<string, unknown> = {}
  for (const [name, text] of given) if (name.startsWith('ce_')) attributes[name.slice(3)] = text
  const type = given.get('content-type')
  if (type) attributes.datacontenttype = type
  return { ...dataIn(record, attributes.datacontenttype, readers), attributes }
}

/** What is neither JSON nor of a registry is a text, as it would be in structured mode. */
const dataIn = ({ value }: LogRecord, type: unknown, { json, registered }: Readers): Document => {
  if (value === null) return noDocument
  return registered() ?? (isJson(type) ? json() : { ...noDocument, payload: value.toString('latin1') })
}

const headersOf = (record: LogRecord): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  for (const name of Object.keys(record.headers)) found.set(name.toLowerCase(), headerText(record, name) ?? '')
  return found
}

/** The whole event as the payload: attributes, and `data` where it is no base64. Null: a tombstone. Throws DecodeFault. */
export const wholeEvent = (document: Document): Document => {
  const { payload, attributes, schema, registration } = document
  if (attributes) {
    const history = () => registration!.history().map(({ id, schema }) => ({ id, schema: eventSchema(schema) }))
    return {
      ...document,
      payload: { ...attributes, data: payload },
      schema: schema && eventSchema(schema),
      ...(registration && { registration: { ...registration, history } }),
    }
  }
  if (payload === null) return document
  if (Array.isArray(payload)) throw batched()
  if (!isObject(payload) || typeof payload.specversion !== 'string')
    throw new DecodeFault('is not a CloudEvent: it has neither ce_ headers nor a specversion')
  return document
}

/** The event with its data read. Throws DecodeFault for data that is not JSON. */
export const withData = (event: Document): Document => {
  if (!isObject(event.payload)) return event
  const { data, data_base64: encoded, datacontenttype: type } = event.payload
  if ((data === undefined || data === null) && encoded === undefined) return event
  if (!isJson(type) && !event.registration)
    throw new DecodeFault(`has data of ${mediaType(type) || 'a type that is none'}, which is not read: send JSON`)
  if (encoded === undefined) return event
  if (data !== undefined) throw new DecodeFault('has data twice: as data and as data_base64')
  return { ...event, payload: { ...event.payload, data: decoded(encoded) }, escapes: true }
}

const decoded = (encoded: unknown): unknown => {
  try {
    if (typeof encoded !== 'string') throw new DecodeFault('is not base64')
    return exactly(parseDocument(bytesOfBase64(encoded), new Map())).payload
  } catch (error) {
    if (error instanceof DecodeFault) throw new DecodeFault(`has data_base64 that ${error.message}`)
    throw error
  }
}

const batched = (): DecodeFault =>
  new DecodeFault('is a batch of CloudEvents, which has no one place in the order of a log: send each as a record')

/** `type/subtype` alone, in lower case; '' for what is none. */
export const mediaType = (type: unknown): string =>
  typeof type === 'string' ? (/^\s*([\w!#$&^.+-]+\/[\w!#$&^.+-]+)\s*(;|$)/.exec(type)?.[1]?.toLowerCase() ?? '') : ''

/** Unsaid, it is. */
export const isJson = (type: unknown): boolean =>
  type === undefined || type === null || /^(application|text)\/json$|\+json$/.test(mediaType(type))

// ── Avro ────────────────────────────────────────────────────────────────────────────────────────────────────────────
const attributes: readonly ConnectSchema[] = [
  ...['id', 'source', 'specversion', 'type'].map((field) => ({ field, type: 'string' })),
  ...['subject', 'time', 'dataschema', 'datacontenttype'].map((field) => ({ field, type: 'string', optional: true })),
]
const inEvents = new WeakMap<ConnectSchema, ConnectSchema>()

/** The schema of an event by that of its data: it may have more attributes than those. */
export const eventSchema = (data: ConnectSchema): ConnectSchema => {
  const known = inEvents.get(data)
  if (known) return known
  const made: ConnectSchema = {
    type: 'struct',
    open: true,
    fields: [...attributes, { ...data, field: 'data' }],
    ...(data.name === undefined ? {} : { name: data.name }),
  }
  inEvents.set(data, made)
  return made
}
