/** POST /ingest/:topic: records into the built-in journal. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Entity, Model } from '../model/model.ts'
import { HttpError, json, type RequestContext, type Route } from '../platform/http.ts'
import { log } from '../platform/log.ts'
import { isRetriable, type Sql } from '../platform/postgres.ts'
import type { Decoded, LogRecord } from './change.ts'
import { exactly, parseDocument } from './decode/document.ts'
import { DecodeFault } from './decode/fault.ts'
import { createDecoder, type Decoder } from './decode.ts'
import { append, type JournalRecord } from './source/journal.ts'
import type { LogSource } from './source.ts'

/** Takes the Authorization header. What it throws is answered with 401, or with 503 where its code is UNAVAILABLE. */
export type Authenticate = (authorization: string | undefined) => Promise<{ readonly roles: readonly string[] }>

export type IngestRoutesOptions = {
  readonly sql: Sql
  readonly model: Model
  readonly kind: LogSource['kind']
  /** Absent: anybody who reaches the port may write. */
  readonly authenticate?: Authenticate
}

const writers = ['ADMIN', 'OPERATOR', 'SERVICE']

/**
 * The body is one record: JSON as the topic's format has it, or a CloudEvent (structured as application/cloudevents+json, binary with
 * `ce-` headers). Or several: a JSON array, application/cloudevents-batch+json; all are taken or none. Answers 202 with
 * `{ "positions": ["topic-partition-offset", …] }` in the records' order, once they are on disk. `?key=`: the record's key as JSON, which
 * deletes by a body of null.
 *
 * Records that no reader of the topic can decode are refused (422) with the reason, since here somebody can still mend them. Each is
 * put in the partition of its row's key, so that the changes of a key keep their order.
 */
export const ingestRoutes = (options: IngestRoutesOptions): readonly Route[] => {
  const { sql, model, kind } = options
  const decoder = createDecoder(model)
  const entities = Map.groupBy(model.entities.values(), ({ source }) => source.topic)
  return [
    {
      method: 'POST',
      path: '/ingest/:topic',
      async handle(context) {
        await admit(context, options.authenticate)
        const topic = context.params.topic ?? ''
        if (kind === 'kafka') {
          throw new HttpError(409, {
            title: 'Kafka is the log',
            detail: `Produce to the topic ${topic} in Kafka instead.`,
          })
        }
        const readers = entities.get(topic)
        if (readers === undefined) {
          const detail = `No entity reads this topic. Known topics: ${decoder.topics.join(', ')}.`
          throw new HttpError(404, { title: 'Unknown topic', detail })
        }
        const given = context.query().get('key')
        const key = given === null ? null : Buffer.from(given)
        const records = recordsOf(await context.body(), context.request.headers).map((record, index) =>
          withKey({ ...record, key }, index, topic, readers, decoder),
        )
        const positions = await store(sql, topic, records)
        json(context.response, 202, { positions })
      },
    },
  ]
}

const admit = async ({ request }: RequestContext, authenticate: Authenticate | undefined): Promise<void> => {
  if (authenticate === undefined) return
  const { roles } = await authenticate(request.headers.authorization).catch((error: unknown) => {
    const detail = error instanceof Error ? error.message : 'Send a token: `Authorization: Bearer …`.'
    if (codeOf(error) === 'UNAVAILABLE') throw new HttpError(503, { title: 'Unavailable', detail })
    throw new HttpError(401, { title: 'Unauthenticated', detail })
  })
  if (!roles.some((role) => writers.includes(role))) {
    throw new HttpError(403, {
      title: 'Forbidden',
      detail: `Writing to the journal takes one of the roles ${writers.join(', ')}.`,
    })
  }
}

/** GraphQL's errors carry theirs in `extensions`. */
const codeOf = (error: unknown): unknown =>
  (error as { readonly extensions?: { readonly code?: unknown } } | undefined)?.extensions?.code

/** As it came; `keyOf` gives it a key where it has none. */
type Unkeyed = { readonly value: Buffer | null; readonly headers: Readonly<Record<string, string>> }

const recordsOf = (body: Buffer, headers: IncomingHttpHeaders): readonly Unkeyed[] => {
  const type = (headers['content-type'] ?? 'application/json').split(';')[0]!.trim().toLowerCase()
  const batch = type === 'application/cloudevents-batch+json'
  if (!batch && type !== 'application/cloudevents+json' && type !== 'application/json') {
    const detail = 'Send application/json, application/cloudevents+json or application/cloudevents-batch+json.'
    throw new HttpError(415, { title: 'Unsupported media type', detail })
  }
  const payload = parseBody(body)
  const attributes = cloudAttributes(headers)
  // No format's record is an array, so an array is always several records.
  if (Array.isArray(payload)) {
    return payload.map((item) => ({ value: Buffer.from(JSON.stringify(item)), headers: attributes }))
  }
  if (batch) throw new HttpError(400, { title: 'Not a batch', detail: 'A batch is a JSON array of events.' })
  return [{ value: payload === null ? null : body, headers: attributes }]
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
  { key, value, headers }: Unkeyed & { readonly key: Buffer | null },
  index: number,
  topic: string,
  readers: readonly Entity[],
  decoder: Decoder,
): JournalRecord => {
  const trial: LogRecord = { topic, partition: 0, offset: 0n, timestamp: Date.now(), key, value, headers }
  const decoded = decoder.decode(trial, 0)
  const bad = decoded.find((result) => 'told' in result)
  if (bad) {
    const detail = `Record ${index} can't be read as ${bad.entity}: ${bad.reason}.`
    throw new HttpError(422, { title: 'Undecodable record', detail })
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

const store = async (sql: Sql, topic: string, records: readonly JournalRecord[]): Promise<readonly string[]> => {
  try {
    const positions = await sql.begin((tx) => append(tx, topic, records))
    return positions.map(({ partition, offset }) => `${topic}-${partition}-${offset}`)
  } catch (error) {
    if (!isRetriable(error)) throw error
    log.warn('journal not written', { topic, error })
    throw new HttpError(503, {
      title: 'Unavailable',
      detail: 'The journal cannot be written at the moment. Try again shortly.',
    })
  }
}
