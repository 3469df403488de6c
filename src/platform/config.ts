/** The environment, read and judged once: what runs, where, with which parts. */
import { durationMs } from './duration.ts'
import { type HttpSettings, readHttpSettings } from './http-settings.ts'
import { type JournalSettings, readJournalSettings } from './journal-settings.ts'
import { type KafkaSecurity, readKafkaSecurity } from './kafka.ts'
import { present } from './present.ts'
import { clusterNodes, isClusterUrl } from './redis.ts'
import { readSchemaRegistry, type SchemaRegistry } from './schema-registry.ts'

export type Config = {
  /** Folder of the declaration (FOREBAY_SCHEMA). */
  readonly schema: string
  readonly port: number
  /** Address to listen on: loopback, in production every one. */
  readonly host: string
  /** Absent: the embedded Postgres. */
  readonly databaseUrl?: string
  /** Streaming replicas of it, from which gateways may read. */
  readonly databaseReadUrls?: readonly string[]
  /** `host:port`; absent: the journal. */
  readonly kafkaBrokers?: readonly string[]
  readonly kafkaSecurity?: KafkaSecurity
  /** The topic in which the Kafka Connect of Debezium's connectors keeps their offsets (FOREBAY_CONNECT_OFFSETS). */
  readonly connectOffsets?: string
  /** The consumer group whose members share the partitions: one a database. Absent: `forebay`. */
  readonly kafkaGroup?: string
  readonly schemaRegistry?: SchemaRegistry
  readonly redisUrl?: string
  /** How much of rows a gateway keeps in itself (FOREBAY_NEAR_CACHE_MB); absent: the usual. */
  readonly nearCacheBytes?: number
  /** How much of finished answers (FOREBAY_ANSWER_CACHE_MB); absent: the usual. */
  readonly answerCacheBytes?: number
  /** Postgres URLs of sources that are read as tables, by lower-case name: FOREBAY_CONNECTION_CRM is `crm`. */
  readonly connections?: Readonly<Record<string, string>>
  /** The three come together; absent: development keys. */
  readonly jwksUrl?: string
  readonly jwtIssuer?: string
  readonly jwtAudience?: string
  /** Keys cursors, position tokens and tokenized values (FOREBAY_SECRET); absent: one made in `dataDir`. */
  readonly secret?: string
  /** Files of documents that clients ask by id (FOREBAY_TRUSTED_DOCUMENTS). */
  readonly trustedDocuments?: readonly string[]
  /** Nothing else is answered; from the command line. */
  readonly onlyTrusted?: boolean
  readonly journal: JournalSettings
  readonly http: HttpSettings
  /** Records of a topic that may be in quarantine before its partitions pause (FOREBAY_QUARANTINE_CAP). */
  readonly quarantineCap: number
  /** The share of one connection's time that comparing views and entities may take, 0 to 1; 0: none is compared unasked (FOREBAY_RECONCILE_SHARE). */
  readonly reconcileShare: number
  /** How long tombstones of deleted rows are kept, ISO 8601 (FOREBAY_TOMBSTONE_TTL). */
  readonly tombstoneTtl: string
  /** How long what served before a switch is kept up for a way back (FOREBAY_ROLLBACK_WINDOW), milliseconds. */
  readonly rollbackWindowMs: number
  readonly production: boolean
  /** What the embedded parts and development keys keep (FOREBAY_DATA). */
  readonly dataDir: string
}
export type Environment = Readonly<Record<string, string | undefined>>
export type Required = 'DATABASE_URL' | 'JWKS_URL' | 'FOREBAY_SECRET'

/** All that is wrong with the environment, one line each. */
export class ConfigError extends Error {
  readonly faults: readonly string[]
  constructor(faults: readonly string[]) {
    super(`The environment is not usable:\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
    this.name = 'ConfigError'
    this.faults = faults
  }
}

/** What a caller can't do without: ever, and in production. */
export type Needs = { readonly always?: readonly Required[]; readonly production?: readonly Required[] }

/**
 * Reads and checks every variable; one that is empty counts as absent.
 * Throws ConfigError with every fault at once. Values of URLs are never repeated in it: they may hold passwords.
 */
export const readConfig = (env: Environment, needs: Needs = {}): Config => {
  const faults: string[] = []
  const text = (name: string): string | undefined => env[name]?.trim() || undefined
  const url = (name: string, schemes: readonly string[], example: string): string | undefined => {
    const value = text(name)
    if (value === undefined) return undefined
    const scheme = URL.canParse(value) ? new URL(value).protocol.slice(0, -1) : undefined
    if (scheme === undefined) faults.push(`${name} is not a URL; write one like ${example}`)
    else if (!schemes.includes(scheme))
      faults.push(`${name} starts with ${scheme}:, which is not ${schemes.join(': or ')}:; write one like ${example}`)
    return value
  }
  const postgres = (name: string) =>
    url(name, ['postgres', 'postgresql'], 'postgres://user:password@host:5432/database')
  const web = (name: string, path: string) => url(name, ['http', 'https'], `https://host${path}`)

  const found = {
    databaseUrl: postgres('DATABASE_URL'),
    databaseReadUrls: replicas(text('DATABASE_READ_URL'), faults),
    kafkaBrokers: brokers(text('KAFKA_BROKERS'), faults),
    kafkaSecurity: readKafkaSecurity(text, faults),
    kafkaGroup: text('KAFKA_GROUP'),
    connectOffsets: text('FOREBAY_CONNECT_OFFSETS'),
    schemaRegistry: readSchemaRegistry(text, faults),
    trustedDocuments: files(text('FOREBAY_TRUSTED_DOCUMENTS')),
    redisUrl: redisUrl(text('REDIS_URL'), () => url('REDIS_URL', ['redis', 'rediss'], 'redis://host:6379'), faults),
    jwksUrl: web('JWKS_URL', '/.well-known/jwks.json'),
    jwtIssuer: text('JWT_ISSUER'),
    jwtAudience: text('JWT_AUDIENCE'),
    secret: text('FOREBAY_SECRET'),
  }
  const connections = Object.fromEntries(
    Object.keys(env)
      .filter((name) => name.startsWith(connectionPrefix))
      .flatMap((name) => {
        const value = postgres(name)
        return value === undefined ? [] : [[name.slice(connectionPrefix.length).toLowerCase(), value]]
      }),
  )
  if (found.databaseReadUrls && found.databaseUrl === undefined)
    faults.push('DATABASE_READ_URL has no effect without DATABASE_URL, which it names replicas of; set both or neither')
  if (found.connectOffsets !== undefined && text('KAFKA_BROKERS') === undefined)
    faults.push('FOREBAY_CONNECT_OFFSETS has no effect without KAFKA_BROKERS; set both or neither')
  const port = Number(text('PORT') ?? 4000)
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    faults.push(`PORT is ${text('PORT')}, which is not a whole number from 0 to 65535; write one like 4000`)
  const journal = readJournalSettings(text, faults)
  const http = readHttpSettings(text, faults)
  const capText = text('FOREBAY_QUARANTINE_CAP') ?? '1000'
  if (!/^\d{1,9}$/.test(capText))
    faults.push(`FOREBAY_QUARANTINE_CAP is ${capText}, which is not a whole number; write one like 1000`)
  const shareText = text('FOREBAY_RECONCILE_SHARE') ?? '0.02'
  const reconcileShare = Number(shareText)
  if (!/^(0|1|0?\.\d{1,6}|1\.0+)$/.test(shareText))
    faults.push(
      `FOREBAY_RECONCILE_SHARE is ${shareText}, which is not a share from 0 to 1; write one like 0.02, or 0 to compare only when asked`,
    )
  const mebibytes = (name: string, like: number): number | undefined => {
    const given = text(name)
    if (given === undefined) return undefined
    if (!/^[1-9]\d{0,5}$/.test(given))
      faults.push(`${name} is ${given}, which is not a whole number from 1 on; write one like ${like}`)
    return Number(given) * 2 ** 20
  }
  const nearCacheBytes = mebibytes('FOREBAY_NEAR_CACHE_MB', 64)
  const answerCacheBytes = mebibytes('FOREBAY_ANSWER_CACHE_MB', 32)
  const mode = text('NODE_ENV')
  const production = mode === 'production'
  if (mode && !production && /^prod/i.test(mode))
    faults.push(`NODE_ENV is ${mode}; write production (anything else is development, with development keys)`)
  if (found.jwksUrl) {
    for (const name of ['JWT_ISSUER', 'JWT_AUDIENCE'])
      if (!text(name)) faults.push(`${name} is missing; with JWKS_URL it must say which tokens are meant for here`)
  } else {
    for (const name of ['JWT_ISSUER', 'JWT_AUDIENCE'])
      if (text(name)) faults.push(`${name} has no effect without JWKS_URL; set both or neither`)
  }
  if (found.secret && found.secret.length < 32)
    faults.push('FOREBAY_SECRET is shorter than 32 characters; make one with: openssl rand -hex 32')
  const tombstoneTtl = text('FOREBAY_TOMBSTONE_TTL') ?? 'P30D'
  const [ttlMs, retentionMs] = [durationMs(tombstoneTtl), durationMs(journal.retention)]
  if (ttlMs === undefined)
    faults.push('FOREBAY_TOMBSTONE_TTL is not an ISO 8601 duration of weeks or less; write one like P30D')
  else if (retentionMs !== undefined && ttlMs < retentionMs)
    faults.push(
      `FOREBAY_TOMBSTONE_TTL is ${tombstoneTtl}, less than the ${journal.retention} for which the journal keeps records (FOREBAY_JOURNAL_RETENTION): a deleted row would come back when they are read again; write ${journal.retention} or more`,
    )
  const windowText = text('FOREBAY_ROLLBACK_WINDOW') ?? 'PT1H'
  const rollbackWindowMs = durationMs(windowText)
  if (rollbackWindowMs === undefined)
    faults.push(
      `FOREBAY_ROLLBACK_WINDOW is ${windowText}, which is not an ISO 8601 duration of weeks or less; write one like PT1H`,
    )
  for (const name of [...(needs.always ?? []), ...(production ? (needs.production ?? []) : [])])
    if (!text(name)) faults.push(`${name} is missing; ${reasons[name]}`)

  if (faults.length > 0) throw new ConfigError(faults)
  return {
    schema: text('FOREBAY_SCHEMA') ?? 'schema',
    port,
    host: text('HOST') ?? (production ? '0.0.0.0' : '127.0.0.1'),
    tombstoneTtl,
    rollbackWindowMs: rollbackWindowMs ?? 0,
    production,
    quarantineCap: Number(capText),
    reconcileShare,
    journal,
    http,
    dataDir: text('FOREBAY_DATA') ?? '.forebay',
    ...present(found),
    ...present({ nearCacheBytes, answerCacheBytes }),
    ...(Object.keys(connections).length > 0 ? { connections } : {}),
  }
}

/** A cluster's URL names several nodes, which no URL does. */
const redisUrl = (text: string | undefined, single: () => string | undefined, faults: string[]): string | undefined => {
  if (text === undefined || !/^rediss?-cluster:/.test(text)) return single()
  if (!isClusterUrl(text) || clusterNodes(text) === undefined)
    faults.push(
      'REDIS_URL names a node of the cluster that is not host:port; write one like redis-cluster://redis-1:6379,redis-2:6379',
    )
  return text
}

const connectionPrefix = 'FOREBAY_CONNECTION_'
/** The variable that a connection's name stands for. */
export const connectionVariable = (name: string): string => `${connectionPrefix}${name.toUpperCase()}`

const reasons: Record<Required, string> = {
  DATABASE_URL: 'a half on its own needs a Postgres that the other half reaches too',
  JWKS_URL: 'in production tokens are verified with the keys of your identity provider',
  FOREBAY_SECRET: 'in production every gateway must share one; make it with: openssl rand -hex 32',
}

const replicas = (text: string | undefined, faults: string[]): readonly string[] | undefined => {
  const list = text?.split(',').map((item) => item.trim())
  const isPostgres = (item: string) => URL.canParse(item) && /^postgres(ql)?:$/.test(new URL(item).protocol)
  if (list && !list.every(isPostgres))
    faults.push(
      'DATABASE_READ_URL has an entry that is not a URL of Postgres; write a list like postgres://user:password@replica-1:5432/database,postgres://user:password@replica-2:5432/database',
    )
  return list
}

const files = (text: string | undefined): readonly string[] | undefined =>
  text
    ?.split(',')
    .map((file) => file.trim())
    .filter(Boolean)

const brokers = (text: string | undefined, faults: string[]): readonly string[] | undefined => {
  if (text === undefined) return undefined
  const list = text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)
  for (const item of list) {
    const [, port] = /^[^\s:/@]+:(\d{1,5})$/.exec(item) ?? /^\[[0-9a-fA-F:]+\]:(\d{1,5})$/.exec(item) ?? []
    if (port === undefined || Number(port) < 1 || Number(port) > 65_535)
      faults.push(`KAFKA_BROKERS has an entry that is not host:port; write a list like kafka-1:9092,kafka-2:9092`)
  }
  if (list.length === 0) faults.push('KAFKA_BROKERS names no broker; write a list like kafka-1:9092,kafka-2:9092')
  return list
}
