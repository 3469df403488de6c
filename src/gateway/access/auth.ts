/** authenticate: who asks, from a verified JWT. What the roles may see is the verdict's business. */
import { createLocalJWKSet, createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { LRUCache } from 'lru-cache'
import type { Config } from '../../platform/config.ts'
import { developmentKeys } from '../../platform/dev-keys.ts'
import { refusal } from '../errors.ts'
import type { Claims } from './predicate.ts'

export type Identity = {
  readonly subject: string | null
  /** As claimed; those that the model doesn't declare grant nothing. */
  readonly roles: readonly string[]
  readonly scopes: readonly string[]
  readonly claims: Claims
}
/** Takes the Authorization header. Throws UNAUTHENTICATED, or UNAVAILABLE when the keys can't be had. */
export type Authenticate = ((authorization: string | undefined) => Promise<Identity>) & {
  /** Who sends this header, while that is believed without being verified again. */
  readonly known?: (authorization: string) => Identity | undefined
}

/** Pinned: neither `none` nor a symmetric algorithm, whatever a token's header says. */
const algorithms = ['ES256', 'RS256', 'PS256', 'EdDSA']
const toleranceSeconds = 5
/** A verified token is believed for this long without being verified again, and never past its expiry. */
const believedMs = 60_000

const words = (claim: unknown): string[] =>
  Array.isArray(claim)
    ? claim.filter((item): item is string => typeof item === 'string')
    : typeof claim === 'string'
      ? claim.split(' ').filter(Boolean)
      : []

const identityOf = (payload: JWTPayload): Identity => ({
  subject: typeof payload.sub === 'string' ? payload.sub : null,
  roles: Array.isArray(payload.roles) ? words(payload.roles) : [],
  scopes: words(payload.scope),
  claims: payload,
})

const why = (error: unknown): Error => {
  if (error instanceof errors.JWTExpired) return refusal('UNAUTHENTICATED', 'The token has expired. Get a new one.')
  if (error instanceof errors.JWTClaimValidationFailed) {
    return refusal('UNAUTHENTICATED', `The token's claim ${error.claim} is not what this service accepts.`)
  }
  if (
    error instanceof errors.JWKSTimeout ||
    !(error instanceof errors.JOSEError) ||
    error.code === 'ERR_JOSE_GENERIC'
  ) {
    return refusal('UNAVAILABLE', "The identity provider's keys cannot be fetched at the moment. Try again shortly.")
  }
  return refusal('UNAUTHENTICATED', 'The token cannot be verified: wrong key, algorithm or form.')
}

/** `key`: the identity provider's keys. Tokens without an expiry are refused. */
export const authenticator = (
  key: JWTVerifyGetKey,
  expected: { readonly issuer: string; readonly audience: string },
): Authenticate => {
  const believed = new LRUCache<string, Identity>({ max: 5_000 })
  const authenticate = async (authorization: string | undefined): Promise<Identity> => {
    const known = authorization === undefined ? undefined : believed.get(authorization)
    if (known) return known
    const token = /^Bearer +([\w.~+/=-]+) *$/i.exec(authorization ?? '')?.[1]
    if (token === undefined) {
      throw refusal(
        'UNAUTHENTICATED',
        'Send a token: `Authorization: Bearer …`. In development `forebay token --role AGENT` makes one.',
      )
    }
    try {
      const { payload } = await jwtVerify(token, key, {
        ...expected,
        algorithms,
        clockTolerance: toleranceSeconds,
        requiredClaims: ['exp'],
      })
      const identity = identityOf(payload)
      const left = ((payload.exp ?? 0) + toleranceSeconds) * 1_000 - Date.now()
      if (left > 0) believed.set(authorization!, identity, { ttl: Math.min(left, believedMs) })
      return identity
    } catch (error) {
      throw why(error)
    }
  }
  return Object.assign(authenticate, { known: (authorization: string) => believed.get(authorization) })
}

/** By JWKS_URL; without it development's own keys, in production nothing: throws. */
export const configuredAuthenticator = async (config: Config): Promise<Authenticate> => {
  const { jwksUrl, jwtIssuer, jwtAudience } = config
  if (jwksUrl !== undefined && jwtIssuer !== undefined && jwtAudience !== undefined) {
    const keys = createRemoteJWKSet(new URL(jwksUrl), { timeoutDuration: 2_000, cooldownDuration: 5_000 })
    return authenticator(keys, { issuer: jwtIssuer, audience: jwtAudience })
  }
  if (config.production)
    throw new Error(
      'JWKS_URL, JWT_ISSUER and JWT_AUDIENCE must be set in production: development keys are not used there.',
    )
  const { publicJwk, issuer, audience } = await developmentKeys(config.dataDir)
  return authenticator(createLocalJWKSet({ keys: [publicJwk] }), { issuer, audience })
}
