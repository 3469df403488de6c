/** How a schema registry is reached, by the environment. */
import { present } from './present.ts'

/** `urls`: of one registry, tried in turn; may hold user and password. With no URL only the credentials were given. */
export type SchemaRegistry = {
  readonly urls: readonly string[]
  readonly username?: string
  readonly password?: string
  readonly token?: string
  /** A file of certificates in PEM. */
  readonly ca?: string
}

/** Undefined: nothing of it is set. Faults never repeat a value: it may be a secret. */
export const readSchemaRegistry = (
  text: (name: string) => string | undefined,
  faults: string[],
): SchemaRegistry | undefined => {
  const given = {
    username: text('SCHEMA_REGISTRY_USERNAME'),
    password: text('SCHEMA_REGISTRY_PASSWORD'),
    token: text('SCHEMA_REGISTRY_TOKEN'),
    ca: text('SCHEMA_REGISTRY_CA'),
  }
  const named = listed(text('SCHEMA_REGISTRY_URL') ?? '')
  if (!named.every(isWeb)) faults.push(`SCHEMA_REGISTRY_URL ${noUrl}`)
  if (given.token && given.username)
    faults.push('SCHEMA_REGISTRY_TOKEN and SCHEMA_REGISTRY_USERNAME are both set; keep the one that the registry takes')
  if ((given.username === undefined) !== (given.password === undefined))
    faults.push('SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD come together; set both or neither')
  if (named.length === 0 && Object.values(given).every((value) => value === undefined)) return undefined
  return { urls: named, ...present(given) }
}

/** Of an option. Throws where one is no URL. */
export const registryUrls = (text: string | undefined): readonly string[] | undefined => {
  if (text === undefined) return undefined
  const urls = listed(text)
  if (urls.length === 0 || !urls.every(isWeb)) throw new Error(`the registry ${noUrl}`)
  return urls
}

const listed = (text: string): readonly string[] =>
  text
    .split(',')
    .map((url) => url.trim())
    .filter(Boolean)
const isWeb = (url: string): boolean => /^https?:\/\//i.test(url) && URL.canParse(url)
const noUrl = 'has an entry that is not an http: or https: URL; write one like https://host:8081, several with commas'
