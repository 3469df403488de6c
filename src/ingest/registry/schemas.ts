/**
 * Schemas at hand: in memory, behind it in Postgres, behind that in the registry. Once fetched a schema is never asked for again, as an
 * id's schema never changes, so a restart while the registry is away still reads what it has read before.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { counter } from '../../platform/metrics.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { SchemaRegistry } from '../../platform/schema-registry.ts'
import { compileAvro } from '../decode/avro.ts'
import { readJsonSchema } from '../decode/json-schema.ts'
import type { KnownSchema, Schemas } from '../decode/registered.ts'
import { type Registered, type RegistryClient, RegistryError } from './client.ts'

export type SchemaStore = Schemas & {
  /** Reads what Postgres has for these topics. */
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

const mostSchemas = 5_000
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
  const known = new LRUCache<string, Lazy>({ max: mostSchemas })
  const flights = new Map<string, Promise<void>>()
  const nameOf = (topic: string, ref: string): string => `${ref} ${topic}`

  const stored = async (topics: readonly string[], ref: string | null): Promise<Registered | undefined> => {
    const rows = await sql<{ id: string; topics: string[]; type: Registered['type']; text: string; refs: string }[]>`
      select id, topics, type, schema as text, refs::text as refs from forebay.schemas
      where registry = ${registry} and (id = ${ref} or topics && ${[...topics]}::text[])`
    let wanted: Registered | undefined
    for (const { id, topics: users, type, text, refs } of rows) {
      const registered = { type, text, references: JSON.parse(refs) as Registered['references'] }
      const schema = lazy(registered, id)
      for (const topic of users) if (!known.has(nameOf(topic, id))) known.set(nameOf(topic, id), schema)
      if (id === ref) wanted = registered
    }
    return wanted
  }
  const keep = async (topic: string, ref: string, { type, text, references }: Registered): Promise<void> => {
    await sql`
      insert into forebay.schemas (registry, id, topics, type, schema, refs)
      values (${registry}, ${ref}, ${[topic]}, ${type}, ${text}, ${JSON.stringify(references)}::text::jsonb)
      on conflict (registry, id) do update set topics = array(select distinct unnest(schemas.topics || excluded.topics))`
  }

  const bring = async (topic: string, ref: string): Promise<void> => {
    const found = (await stored([topic], ref)) ?? (await ask(ref))
    if (found === undefined) {
      const reason = `was written with schema ${ref}, which the registry does not have: was it written by way of another one?`
      known.set(nameOf(topic, ref), { get: () => ({ kind: 'bad', reason }) }, { ttl: absence.keptMs })
      return
    }
    if (known.get(nameOf(topic, ref)) !== undefined) return
    await keep(topic, ref, found)
    known.set(nameOf(topic, ref), lazy(found, ref))
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

  return {
    get: (ref, topic) => known.get(nameOf(topic, ref))?.get(),
    async load(topics) {
      await stored(topics, null)
    },
    fetch(topic, ref) {
      const name = nameOf(topic, ref)
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
