/**
 * Schemas at hand: in memory, behind it in Postgres, behind that in the registry. Once fetched a schema is never asked for again, as an
 * id's schema never changes, so a restart while the registry is away still reads what it has read before.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { log } from '../../platform/log.ts'
import { counter } from '../../platform/metrics.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { SchemaRegistry } from '../../platform/schema-registry.ts'
import { compileAvro } from '../decode/avro.ts'
import { readJsonSchema } from '../decode/json-schema.ts'
import { type KnownSchema, type Schemas, schemaOf } from '../decode/registered.ts'
import { type Registered, type RegistryClient, RegistryError } from './client.ts'

export type SchemaStore = Schemas & {
  /** Reads what Postgres has for these topics, and their latest where the registry answers. */
  load(topics: readonly string[]): Promise<void>
  /** Brings one schema to hand, its absence included. Throws RegistryError, or what Postgres throws. */
  fetch(topic: string, ref: string): Promise<void>
}
export type SchemaStoreOptions = {
  readonly sql: Sql
  readonly client: RegistryClient
  /** Whose ids they are, see `registryName`. */
  readonly registry: string
  /** How long "not there" is waited over before it is believed, and then kept. */
  readonly absence?: { readonly againMs: number; readonly keptMs: number }
}

/** Ids mean something within one registry only. Its addresses name it, without user and password. */
export const registryName = ({ urls }: SchemaRegistry): string =>
  urls
    .map((url) => new URL(url).host)
    .sort()
    .join(',')

const mostAbsent = 1_000
const fetched = counter({
  name: 'forebay_schemas_fetched_total',
  help: 'Schemas asked of the registry, by outcome.',
  labels: ['outcome'],
})

export const schemaStore = ({
  sql,
  client,
  registry,
  absence = { againMs: 1_000, keptMs: 60_000 },
}: SchemaStoreOptions): SchemaStore => {
  const topics = new Map<string, Map<string, Lazy>>()
  const histories = new Map<string, ReturnType<Schemas['history']>>()
  const absent = new LRUCache<string, KnownSchema>({ max: mostAbsent, ttl: absence.keptMs })
  const flights = new Map<string, Promise<void>>()

  const known = (topic: string): Map<string, Lazy> => {
    const schemas = topics.get(topic) ?? new Map<string, Lazy>()
    topics.set(topic, schemas)
    return schemas
  }
  const hold = (topic: string, ref: string, schema: Lazy): void => {
    known(topic).set(ref, schema)
    histories.delete(topic)
  }
  const stored = async (asked: readonly string[], ref: string | null): Promise<Registered | undefined> => {
    const rows = await sql<{ id: string; topics: string[]; type: Registered['type']; text: string; refs: string }[]>`
      select id, topics, type, schema as text, refs::text as refs from forebay.schemas
      where registry = ${registry} and (id = ${ref} or topics && ${[...asked]}::text[])`
    let wanted: Registered | undefined
    for (const { id, topics: users, type, text, refs } of rows) {
      const registered = { type, text, references: JSON.parse(refs) as Registered['references'] }
      const schema = lazy(registered, id)
      for (const topic of users) if (!known(topic).has(id)) hold(topic, id, schema)
      if (id === ref) wanted = registered
    }
    return wanted
  }
  const keep = async (topic: string, ref: string, registered: Registered): Promise<void> => {
    if (known(topic).has(ref)) return
    const { type, text, references } = registered
    await sql`
      insert into forebay.schemas (registry, id, topics, type, schema, refs)
      values (${registry}, ${ref}, ${[topic]}, ${type}, ${text}, ${JSON.stringify(references)}::text::jsonb)
      on conflict (registry, id) do update set topics = array(select distinct unnest(schemas.topics || excluded.topics))`
    hold(topic, ref, lazy(registered, ref))
  }

  const bring = async (topic: string, ref: string): Promise<void> => {
    const found = (await stored([topic], ref)) ?? (await ask(ref))
    if (found !== undefined) {
      // A record with a schema not seen before: the topic's latest says whether what it lacks is gone, or came back since.
      await Promise.all([latest(topic), keep(topic, ref, found)])
      return
    }
    const reason = `was written with schema ${ref}, which the registry does not have: was it written by way of another one?`
    absent.set(`${ref} ${topic}`, { kind: 'bad', reason })
  }
  const ask = async (ref: string): Promise<Registered | undefined> => {
    let found = await client.schema(ref)
    if (found === undefined) {
      // Where producers are quick, a replica of the registry may not have it yet.
      await sleep(absence.againMs)
      found = await client.schema(ref)
    }
    fetched.inc({ outcome: found ? 'found' : 'absent' })
    return found
  }
  /** The latest of the topic's values, as most registries name its subject. Nothing waits for a registry that is away. */
  const latest = async (topic: string): Promise<void> => {
    try {
      const found = await client.latest(subjectsOf(topic).value)
      if (found) await keep(topic, String(found.id), found)
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      log.warn('schema.latest.unknown', { topic, reason: error.message })
    }
  }

  return {
    get: (ref, topic) => topics.get(topic)?.get(ref)?.get() ?? absent.get(`${ref} ${topic}`),
    history(topic) {
      const history = histories.get(topic) ?? historyOf(known(topic))
      histories.set(topic, history)
      return history
    },
    async load(asked) {
      await stored(asked, null)
      await Promise.all(asked.map(latest))
    },
    fetch(topic, ref) {
      const name = `${ref} ${topic}`
      const flight =
        flights.get(name) ??
        bring(topic, ref)
          .catch((error: unknown) => {
            fetched.inc({ outcome: error instanceof RegistryError ? error.kind : 'failed' })
            throw error
          })
          .finally(() => flights.delete(name))
      flights.set(name, flight)
      return flight
    },
  }
}

/** As a registry names them where it isn't told otherwise (TopicNameStrategy). */
export const subjectsOf = (topic: string) => ({ key: `${topic}-key`, value: `${topic}-value` })

const historyOf = (schemas: ReadonlyMap<string, Lazy>): ReturnType<Schemas['history']> =>
  [...schemas]
    .filter(([ref]) => /^\d+$/.test(ref))
    .flatMap(([ref, lazily]) => {
      const schema = schemaOf(lazily.get())
      return schema ? [{ id: Number(ref), schema }] : []
    })
    .sort((a, b) => a.id - b.id)

/** Compiled when first read by: a topic's past has schemas that nothing in it needs any more. */
type Lazy = { get(): KnownSchema }
const lazy = (registered: Registered, ref: string): Lazy => {
  let known: KnownSchema | undefined
  return {
    get() {
      known ??= compileSchema(registered, ref)
      return known
    },
  }
}

/** Never throws: what can't be compiled is known to be bad. */
export const compileSchema = ({ type, text, references }: Registered, ref: string): KnownSchema => {
  try {
    switch (type) {
      case 'AVRO': {
        const texts = references.map((reference) => reference.text)
        return { kind: 'AVRO', reader: compileAvro(text, texts) }
      }
      case 'JSON': {
        const documents = references.map(({ name, text }) => [name, JSON.parse(text) as unknown] as const)
        return { kind: 'JSON', schema: readJsonSchema(JSON.parse(text), new Map(documents)) }
      }
      case 'PROTOBUF':
        return { kind: 'bad', reason: `was written with schema ${ref}, which is PROTOBUF: no format reads that` }
    }
  } catch {
    return { kind: 'bad', reason: `was written with schema ${ref}, which is not valid ${type}` }
  }
}
