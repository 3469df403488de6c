/** `forebay token`: a development token, signed with the key that this machine's gateway trusts. */
import { SignJWT } from 'jose'
import type { Config } from '../platform/config.ts'
import { developmentKeys } from '../platform/dev-keys.ts'
import { present } from '../platform/present.ts'
import { type Input, print, UsageError, usage } from './verb.ts'

export type TokenClaims = {
  readonly roles: readonly string[]
  readonly tenant?: string
  readonly subject?: string
  readonly scopes?: readonly string[]
  /** Further claims by name, as `--claim warehouses=w1,w2` gives them. */
  readonly claims?: Readonly<Record<string, string | readonly string[]>>
  /** Seconds until it expires: 8 hours. */
  readonly ttl?: number
}

/** Throws in production: there, tokens come from the identity provider alone. */
export const developmentToken = async (
  config: Pick<Config, 'production' | 'dataDir'>,
  wanted: TokenClaims,
): Promise<string> => {
  if (config.production) {
    throw new Error(
      'Development tokens are not made in production (NODE_ENV=production). Get one from the identity provider behind JWKS_URL.',
    )
  }
  const { privateKey, publicJwk, issuer, audience } = await developmentKeys(config.dataDir)
  const now = Math.floor(Date.now() / 1_000)
  return new SignJWT({
    ...wanted.claims,
    roles: wanted.roles,
    ...present({ tenant: wanted.tenant, scope: wanted.scopes?.length ? wanted.scopes.join(' ') : undefined }),
  })
    .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: String(publicJwk.kid) })
    .setSubject(wanted.subject ?? 'developer')
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt(now)
    .setExpirationTime(now + (wanted.ttl ?? 8 * 3_600))
    .sign(privateKey)
}

const reserved = new Set(['iss', 'aud', 'exp', 'iat', 'nbf', 'sub', 'roles', 'scope', 'tenant'])

/** `warehouses=w1,w2` → ['warehouses', ['w1', 'w2']]; without a comma one text. Throws on anything else, and on claims that have an option. */
export const parseClaim = (text: string): readonly [string, string | readonly string[]] => {
  const [, name, value] = /^([A-Za-z_][\w.:/-]*)=(.*)$/s.exec(text) ?? []
  if (name === undefined || value === undefined)
    throw new Error(`--claim ${text}: write name=value or name=value,value`)
  if (reserved.has(name)) throw new Error(`--claim ${name}: this claim is set by the other options`)
  return [name, value.includes(',') ? value.split(',') : value]
}

/** An ISO 8601 duration of days and time, in seconds, above zero. Throws on anything else. */
export const parseTtl = (text: string): number => {
  const parts = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/.exec(text)
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = (parts?.slice(1) ?? []).map((part) => Number(part ?? 0))
  const ttl = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
  if (!parts || ttl <= 0 || ttl > 366 * 86_400)
    throw new Error(`--ttl ${text}: write an ISO 8601 duration of at most a year, like PT8H or P1D`)
  return ttl
}

/** The verb. */
export const runToken = async (input: Input): Promise<number> => {
  const roles = input.texts('role')
  if (roles.length === 0)
    throw new UsageError('forebay token needs a --role, like: forebay token --role AGENT --tenant acme')
  const ttl = input.text('ttl')
  const claims = usage(() => Object.fromEntries(input.texts('claim').map(parseClaim)))
  const seconds = usage(() => (ttl === undefined ? undefined : parseTtl(ttl)))
  const token = await developmentToken(input.config, {
    roles,
    claims,
    scopes: input.texts('scope').flatMap((scope) => scope.split(/[ ,]+/)),
    ...present({ tenant: input.text('tenant'), subject: input.text('sub'), ttl: seconds }),
  })
  print(token)
  return 0
}
