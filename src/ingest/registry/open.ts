/** The registry that the environment names. */
import { readFileSync } from 'node:fs'
import type { Model } from '../../model/model.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { SchemaRegistry } from '../../platform/schema-registry.ts'
import { noSchemas } from '../decode/registered.ts'
import { isRegistered } from '../decode.ts'
import { type RegistryClient, RegistryError, registryClient } from './client.ts'
import { type GuardedRegistry, guardRegistry } from './guard.ts'
import { registryName, type SchemaStore, schemaStore } from './schemas.ts'

/** Throws where the file of certificates can't be read. */
export const openRegistry = (registry: SchemaRegistry): RegistryClient => {
  if (registry.ca === undefined) return registryClient(registry)
  try {
    return registryClient(registry, { ca: readFileSync(registry.ca, 'utf8') })
  } catch (error) {
    throw new Error(`SCHEMA_REGISTRY_CA names ${registry.ca}, which can't be read; write the path of a PEM file`, {
      cause: error,
    })
  }
}

/** Topics whose records name a schema. */
export const registeredTopics = (model: Model): readonly string[] => [
  ...new Set(
    [...model.entities.values()].filter(({ source }) => isRegistered(source.format)).map(({ source }) => source.topic),
  ),
]

/** What is wrong where the model has formats that need a registry and none is named. */
export const missingRegistry = (model: Model, registry: SchemaRegistry | undefined): readonly string[] => {
  if (registry !== undefined && registry.urls.length > 0) return []
  const needing = [...model.entities.values()].filter(({ source }) => isRegistered(source.format))
  if (needing.length === 0) return []
  const list = needing.map(({ name, source }) => `${name} (${source.format})`).join(', ')
  return [`SCHEMA_REGISTRY_URL is missing: the records of ${list} can't be read without the registry's schemas`]
}

export type OpenedSchemas = SchemaStore & Pick<GuardedRegistry, 'close' | 'trouble'>

/** With no registry named, every schema is refused. */
export const openSchemas = (sql: Sql, registry: SchemaRegistry | undefined): OpenedSchemas => {
  if (registry === undefined || registry.urls.length === 0)
    return { ...noRegistry, close: () => {}, trouble: () => undefined }
  const name = registryName(registry)
  const client = guardRegistry(openRegistry(registry), name)
  return { ...schemaStore({ sql, client, registry: name }), close: client.close, trouble: client.trouble }
}
/** No registry: no schema is ever at hand. */
export const noRegistry: SchemaStore = {
  ...noSchemas,
  load: async () => {},
  fetch: async () => {
    throw new RegistryError('refused', 'no schema registry is named: set SCHEMA_REGISTRY_URL')
  },
}
