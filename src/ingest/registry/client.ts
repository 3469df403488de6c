/**
 * A Confluent-compatible schema registry, over its REST API: what was registered under an id, a GUID or a subject. Reads only.
 *
 * Why not a package: of the two that are kept, one knows a single host and the other brings the clients of three clouds' key stores.
 */
import http from 'node:http'
import https from 'node:https'
import type { SchemaRegistry } from '../../platform/schema-registry.ts'

export type Registered = {
  readonly type: 'AVRO' | 'JSON' | 'PROTOBUF'
  readonly text: string
  /** Schemas whose names it uses, each before those that use it. `name`: as `$ref` has it. */
  readonly references: readonly { readonly name: string; readonly text: string }[]
}
export type Latest = Registered & { readonly id: number; readonly version: number }

/** Each throws RegistryError where no address answers as a registry does. Undefined: the registry has none of that name. */
export type RegistryClient = {
  /** By number or GUID. */
  schema(ref: string): Promise<Registered | undefined>
  /** The latest version under a subject. */
  latest(subject: string): Promise<Latest | undefined>
  subjects(): Promise<readonly string[]>
  close(): void
}

/** `away`: it may be back by itself. `refused`: somebody has to act. The message says what to do; it holds no password. */
export class RegistryError extends Error {
  readonly kind: 'away' | 'refused'
  constructor(kind: 'away' | 'refused', message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

type Raw = {
  readonly schema?: string
  readonly schemaType?: Registered['type']
  readonly references?: readonly { readonly name: string; readonly subject: string; readonly version: number }[]
  readonly id?: number
  readonly version?: number
}
type Answer = { readonly status: number; readonly body: string }
const mostBytes = 16 * 1024 * 1024
const mostReferences = 200

/** `ca`: certificates in PEM that its address is trusted by, instead of the system's. */
export const registryClient = (
  registry: SchemaRegistry,
  { ca, timeoutMs = 10_000 }: { readonly ca?: string; readonly timeoutMs?: number } = {},
): RegistryClient => {
  const agents = {
    http: new http.Agent({ keepAlive: true }),
    https: new https.Agent({ keepAlive: true, ...(ca === undefined ? {} : { ca }) }),
  }
  const addresses = registry.urls.map((url) => new URL(url))
  /** The address that answered last goes first. */
  let first = 0

  const request = (address: URL, path: string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const secure = address.protocol === 'https:'
      const url = new URL(`${address.pathname.replace(/\/$/, '')}${path}`, address)
      const options: https.RequestOptions = {
        agent: secure ? agents.https : agents.http,
        headers: {
          accept: 'application/vnd.schemaregistry.v1+json, application/json',
          ...authorization(registry, address),
        },
        signal: AbortSignal.timeout(timeoutMs),
      }
      const sent = (secure ? https : http).get(url, options, (response) => {
        const chunks: Buffer[] = []
        let bytes = 0
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes > mostBytes) response.destroy(new Error(`it answers more than ${mostBytes} bytes`))
          chunks.push(chunk)
        })
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
        )
        response.on('error', reject)
      })
      sent.on('error', reject)
    })

  /** Asks one address after the other. "Not here" counts once every one that answers says so: a replica may be behind. */
  const ask = async (path: string): Promise<unknown> => {
    let absent = false
    let failure: RegistryError | undefined
    for (let i = 0; i < addresses.length; i++) {
      const at = (first + i) % addresses.length
      const address = addresses[at]!
      const outcome = await request(address, path).then(
        (answer) => judge(answer, address),
        (error: unknown) => unreachable(error, address),
      )
      if (outcome instanceof RegistryError) {
        // That somebody must act is the more useful word.
        if (failure?.kind !== 'refused') failure = outcome
        continue
      }
      first = at
      if (outcome !== 'absent') return outcome.json
      absent = true
    }
    if (absent) return undefined
    throw failure ?? new RegistryError('refused', 'no schema registry is named: set SCHEMA_REGISTRY_URL')
  }

  /** Those it refers to, the deepest first, each once. */
  const referred = async (raw: Raw, known: Map<string, { name: string; text: string }>): Promise<void> => {
    for (const { name, subject, version } of raw.references ?? []) {
      const id = `${subject} ${version}`
      if (known.has(id)) continue
      if (known.size >= mostReferences)
        throw new RegistryError('refused', `a schema refers to more than ${mostReferences} others`)
      const found = (await ask(`/subjects/${encodeURIComponent(subject)}/versions/${version}`)) as Raw | undefined
      if (found?.schema === undefined)
        throw new RegistryError(
          'refused',
          `the schema registry lacks ${subject} version ${version}, which another refers to`,
        )
      await referred(found, known)
      known.set(id, { name, text: found.schema })
    }
  }
  const complete = async (raw: Raw): Promise<Registered> => {
    const known = new Map<string, { name: string; text: string }>()
    await referred(raw, known)
    return { type: raw.schemaType ?? 'AVRO', text: raw.schema ?? '', references: [...known.values()] }
  }

  return {
    async schema(ref) {
      const raw = (await ask(/^\d+$/.test(ref) ? `/schemas/ids/${ref}` : `/schemas/guids/${ref}`)) as Raw | undefined
      return raw && complete(raw)
    },
    async latest(subject) {
      const raw = (await ask(`/subjects/${encodeURIComponent(subject)}/versions/latest`)) as Raw | undefined
      return raw && { ...(await complete(raw)), id: raw.id ?? 0, version: raw.version ?? 0 }
    },
    subjects: async () => ((await ask('/subjects')) as readonly string[] | undefined) ?? [],
    close() {
      agents.http.destroy()
      agents.https.destroy()
    },
  }
}

const authorization = ({ username, password, token }: SchemaRegistry, address: URL): Record<string, string> => {
  if (token !== undefined) return { authorization: `Bearer ${token}` }
  const user = address.username === '' ? username : decodeURIComponent(address.username)
  if (user === undefined) return {}
  const secret = address.username === '' ? (password ?? '') : decodeURIComponent(address.password)
  return { authorization: `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}` }
}

const judge = ({ status, body }: Answer, address: URL): { readonly json: unknown } | 'absent' | RegistryError => {
  const at = `the schema registry at ${address.host}`
  const json = parsed(body)
  if (status === 200)
    return json === undefined ? new RegistryError('away', `${at} answers something that is not JSON`) : { json }
  if (status === 401 || status === 403) {
    const remedy = 'set SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD, or SCHEMA_REGISTRY_TOKEN'
    return new RegistryError('refused', `${at} refuses the credentials (${status}): ${remedy}`)
  }
  const code = (json as { readonly error_code?: unknown } | undefined)?.error_code
  // 40401 subject, 40402 version, 40403 schema. Any other 404 is not the registry speaking.
  if (status === 404 && typeof code === 'number' && code >= 40401 && code <= 40403) return 'absent'
  if (status === 404) {
    const remedy = 'see whether SCHEMA_REGISTRY_URL leads to its root'
    return new RegistryError('refused', `${at} answers 404, but not as a registry would: ${remedy}`)
  }
  return new RegistryError('away', `${at} answers ${status}`)
}

const parsed = (body: string): unknown => {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

const unreachable = (error: unknown, address: URL): RegistryError => {
  const code = (error as { readonly code?: unknown }).code
  const certificate = typeof code === 'string' && /CERT|SIGNED|SSL|TLS/.test(code)
  const at = `the schema registry at ${address.host}`
  if (certificate)
    return new RegistryError(
      'refused',
      `${at} has a certificate that is not trusted (${code}): set SCHEMA_REGISTRY_CA`,
      {
        cause: error,
      },
    )
  const timeout = code === 'ABORT_ERR'
  return new RegistryError('away', `${at} ${timeout ? 'does not answer in time' : `can't be reached (${code})`}`, {
    cause: error,
  })
}
