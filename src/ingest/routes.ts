/** POST /ingest/:topic: records into the built-in journal. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Entity, Model } from '../model/model.ts'
import { json, type RequestContext, type Route } from '../platform/http.ts'
import { HttpError } from '../platform/http-problem.ts'
import { usualJournal } from '../platform/journal-settings.ts'
import { log } from '../platform/log.ts'
import { isRetriable, type Sql } from '../platform/postgres.ts'
import { appendOnce, type Once } from './append-once.ts'
import type { Decoded, LogRecord } from './change.ts'
import { isJson, mediaType } from './decode/cloud-event.ts'
import { exactly, parseDocument } from './decode/document.ts'
import { DecodeFault } from './decode/fault.ts'
import { createDecoder, type Decoder } from './decode.ts'
import { journalRoom, type RoomLimits } from './journal-room.ts'
import type { JournalRecord } from './source/journal.ts'
import type { LogSource } from './source.ts'

/** Takes the Authorization header. What it throws is answered with 401, or with 503 where its code is UNAVAILABLE. */
export type Authenticate = (authorization: string | undefined) => Promise<Writer>
type Writer = { readonly roles: readonly string[]; readonly subject?: string | null }

export type IngestRoutesOptions = {
  readonly sql: Sql
  readonly model: Model
  readonly kind: LogSource['kind']
  /** Absent: anybody who reaches the port may write. */
  readonly authenticate?: Authenticate
  /** How far ahead of what is applied a topic may be. */
  readonly room?: RoomLimits
}

const writers = ['ADMIN', 'OPERATOR', 'SERVICE']

/**
 * The body is one record: JSON as the topic's format has it, or a CloudEvent (structured as application/cloudevents+json, binary with
 * `ce-` headers). Or several: a JSON array, application/cloudevents-batch+json; all are taken or none. Answers 202 with
 * `{ "positions": ["topic-partition-offset", …] }` in the records' order, once they are on disk. `?key=`: the record's key as JSON, which
 * deletes by a body of null.
 *
 * `Idempotency-Key`: asked again with the same key and body within a day, it answers the same and appends nothing; with another body, 422. A topic
 * that is too far ahead of what is applied answers 429 with Retry-After. The token's subject and the request's traceparent go along as
 * headers of each record.
 *
 * Records that no reader of the topic can decode are refused (422) with the reason, since here somebody can still mend them, and so are
 * tombstones where they delete nothing. Each is
 * put in the partition of its row's key, so that the changes of a key keep their order.
 */
export const ingestRoutes = (options: IngestRoutesOptions): readonly Route[] => {
  const { sql, model, kind } = options
  const decoder = createDecoder(model)
  const room = journalRoom(sql, options.room ?? usualJournal.room)
  const entities = Map.groupBy(model.entities.values(), ({ source }) => source.topic)
  const readersOf = (topic: string): readonly Entity[] => {
    const readers = entities.get(topic)
    if (readers === undefined && kind === 'journal') {
      const detail = `No entity reads this topic. Known topics: ${decoder.topics.join(', ')}.`
      throw new HttpError(404, { title: 'Unknown topic', detail })
    }
    if (readers?.[0]?.source.table) {
      const detail = `What ${topic} holds is read from its table. Write there.`
      throw new HttpError(409, { title: 'Read from its source', detail })
    }
    if (kind === 'kafka') {
      throw new HttpError(409, { title: 'Kafka is the log', detail: `Produce to the topic ${topic} in Kafka instead.` })
    }
    return readers ?? []
  }
  return [
    {
      method: 'POST',
      path: '/ingest/:topic',
      async handle(context) {
        const writer = await admit(context, options.authenticate)
        const topic = context.params.topic ?? ''
        const readers = readersOf(topic)
        const once = onceOf(context, writer)
        const given = context.query().get('key')
        const key = given === null ? null : Buffer.from(given)
        const body = await context.body()
        const { headers } = context.request
        const about = {
          ...cloudAttributes(headers),
          ...tracing(headers),
          ...(writer ? { [writerHeader]: writer } : {}),
        }
        const records = recordsOf(body, headers['content-type']).map((value, index) =>
          withKey({ value, headers: about, key }, index, topic, readers, decoder),
        )
        const full = await unavailableTo(topic, () => room(topic))
        if (full !== undefined) throw tooFarAhead(context, topic, full)
        const meaning = [JSON.stringify(about), given ?? '', headers['content-type'] ?? '', body]
        const result = await unavailableTo(topic, () =>
          appendOnce(sql, topic, records, once && { ...once, body: meaning }),
        )
        if (result.kind === 'other-body') {
          const detail = 'This Idempotency-Key was used for another body. Take a new key for new records.'
          throw new HttpError(422, { title: 'Key used before', detail })
        }
        if (result.kind === 'known') context.response.setHeader('Idempotency-Replayed', 'true')
        json(context.response, 202, { positions: result.positions })
      },
    },
  ]
}

const noToken =
  'Send a token: `Authorization: Bearer …`. In development `npx forebay token --role OPERATOR` makes one that may write.'

/** The token's subject. */
const admit = async (
  { request, response }: RequestContext,
  authenticate: Authenticate | undefined,
): Promise<string | undefined> => {
  if (authenticate === undefined) return undefined
  const { authorization } = request.headers
  const { roles, subject } = await authenticate(authorization).catch((error: unknown) => {
    const detail = error instanceof Error ? error.message : 'The token cannot be verified.'
    if (codeOf(error) === 'UNAVAILABLE') throw new HttpError(503, { title: 'Unavailable', detail })
    response.setHeader('WWW-Authenticate', 'Bearer')
    throw new HttpError(401, { title: 'Unauthenticated', detail: authorization === undefined ? noToken : detail })
  })
  if (!roles.some((role) => writers.includes(role))) {
    throw new HttpError(403, {
      title: 'Forbidden',
      detail: `Writing to the journal takes one of the roles ${writers.join(', ')}.`,
    })
  }
  return subject ?? undefined
}

/** Who wrote a record, never as the caller says: a record's other headers are its CloudEvents attributes. */
const writerHeader = 'forebay-writer'

const tracing = ({ traceparent }: IncomingHttpHeaders): Record<string, string> =>
  typeof traceparent === 'string' && /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}/.test(traceparent)
    ? { traceparent }
    : {}

const onceOf = ({ request }: RequestContext, writer: string | undefined): Omit<Once, 'body'> | undefined => {
  const key = request.headers['idempotency-key']
  if (key === undefined) return undefined
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key)) {
    const detail = 'Send an Idempotency-Key of 1 to 255 visible ASCII characters, such as a UUID.'
    throw new HttpError(400, { title: 'Malformed header', detail })
  }
  return { writer: writer ?? '', key }
}

const tooFarAhead = ({ response }: RequestContext, topic: string, full: string): HttpError => {
  response.setHeader('Retry-After', '2')
  const detail = `${topic} holds ${full} that are not applied yet. Send again later.`
  return new HttpError(429, { title: 'Too far ahead', detail })
}

/** GraphQL's errors carry theirs in `extensions`. */
const codeOf = (error: unknown): unknown =>
  (error as { readonly extensions?: { readonly code?: unknown } } | undefined)?.extensions?.code

const recordsOf = (body: Buffer, contentType: string | undefined): readonly (Buffer | null)[] => {
  const batch = mediaType(contentType) === 'application/cloudevents-batch+json'
  if (!isJson(contentType)) {
    const detail =
      'Send application/json, or a type that ends in +json: of CloudEvents application/cloudevents+json, of several application/cloudevents-batch+json.'
    throw new HttpError(415, { title: 'Unsupported media type', detail })
  }
  const payload = parseBody(body)
  // No format's record is an array, so an array is always several records.
  if (Array.isArray(payload)) {
    return payload.map((item) => Buffer.from(JSON.stringify(item)))
  }
  if (batch) throw new HttpError(400, { title: 'Not a batch', detail: 'A batch is a JSON array of events.' })
  return [payload === null ? null : body]
}

const parseBody = (body: Buffer): unknown => {
  try {
    const document = parseDocument(body, new Map())
    // Only an array is written anew, and then every number must stay as it was.
    return Array.isArray(document.payload) ? exactly(document).payload : document.payload
  } catch (error) {
    if (!(error instanceof DecodeFault)) throw error
    throw new HttpError(400, { title: 'Malformed JSON', detail: `The body ${error.message}.` })
  }
}

/** Binary mode: over HTTP `ce-type`, percent-encoded; in a log `ce_type`. */
const cloudAttributes = (headers: IncomingHttpHeaders): Record<string, string> => {
  const attributes: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith('ce-') || typeof value !== 'string') continue
    try {
      attributes[`ce_${name.slice(3)}`] = decodeURIComponent(value)
    } catch {
      throw new HttpError(400, { title: 'Malformed header', detail: `The percent-encoding of ${name} is broken.` })
    }
  }
  return attributes
}

const withKey = (
  { key, value, headers = {} }: JournalRecord,
  index: number,
  topic: string,
  readers: readonly Entity[],
  decoder: Decoder,
): JournalRecord => {
  // Empty, not null: that a record comes without its key here says nothing of its table.
  const known = key ?? Buffer.alloc(0)
  const trial: LogRecord = { topic, partition: 0, offset: 0n, timestamp: Date.now(), key: known, value, headers }
  const decoded = decoder.decode(trial, 0)
  const bad = decoded.find((result) => 'told' in result)
  if (bad) {
    const detail = `Record ${index} can't be read as ${bad.entity}: ${bad.reason}.`
    throw new HttpError(422, { title: 'Undecodable record', detail })
  }
  if (value === null && decoded.every(({ kind }) => kind === 'skipped')) {
    const detail = `Record ${index} is a tombstone, which deletes nothing in ${topic}: send a delete as its format has it.`
    throw new HttpError(422, { title: 'Record without effect', detail })
  }
  return { key: key ?? keyOf(decoded, readers), value, headers }
}

/** The row's key as a Debezium key would be: an object by source names. */
const keyOf = (decoded: readonly Decoded[], readers: readonly Entity[]): Buffer | null => {
  for (const result of decoded) {
    if (result.kind !== 'changes') continue
    const [change] = result.changes
    const [set] = result.sets
    const values = change?.row ?? set?.parent ?? {}
    const entity = readers.find(({ name }) => name === (change ?? set)?.entity)
    const columns = entity?.columns.filter(({ name }) => entity.key.includes(name) && name in values) ?? []
    if (columns.length === 0) continue
    return Buffer.from(JSON.stringify(Object.fromEntries(columns.map(({ name, path }) => [path.at(-1), values[name]]))))
  }
  return null
}

/** A database that is away for a moment is no fault of the caller's, nor one that a retry makes worse. */
const unavailableTo = async <T>(topic: string, act: () => Promise<T>): Promise<T> => {
  try {
    return await act()
  } catch (error) {
    if (!isRetriable(error)) throw error
    log.warn('journal not written', { topic, error })
    throw new HttpError(503, {
      title: 'Unavailable',
      detail: 'The journal cannot be written at the moment. Try again shortly.',
    })
  }
}
