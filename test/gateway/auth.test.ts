import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createLocalJWKSet, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import { authenticator, configuredAuthenticator } from '../../src/gateway/access/auth.ts'
import { usualHttp } from '../../src/platform/http-settings.ts'
import { usualJournal } from '../../src/platform/journal-settings.ts'

const issuer = 'https://id.example'
const audience = 'forebay'
const newKey = async (alg: string, kid: string) => {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk: JWK = { ...(await exportJWK(publicKey)), alg, kid, use: 'sig' }
  return { alg, kid, privateKey, jwk }
}
type Key = Awaited<ReturnType<typeof newKey>>
const good = await newKey('ES256', 'good')
const other = await newKey('ES256', 'good')
const unpinned = await newKey('ES384', 'unpinned')
const authenticate = authenticator(createLocalJWKSet({ keys: [good.jwk, unpinned.jwk] }), { issuer, audience })

const token = (
  key: Key,
  change: { claims?: object; issuer?: string; audience?: string; expires?: string | null } = {},
) => {
  const jwt = new SignJWT({ roles: ['AGENT'], scope: 'a b', tenant: 'acme', ...change.claims })
    .setProtectedHeader({ alg: key.alg, kid: key.kid })
    .setSubject('u1')
    .setIssuer(change.issuer ?? issuer)
    .setAudience(change.audience ?? audience)
    .setIssuedAt()
  return (change.expires === null ? jwt : jwt.setExpirationTime(change.expires ?? '5m')).sign(key.privateKey)
}
const codeOf = async (authorization: string | undefined): Promise<unknown> =>
  await authenticate(authorization).then(
    () => 'accepted',
    (error: { extensions?: { code?: unknown } }) => error.extensions?.code,
  )

test('a good token says who asks, with which roles, scopes and claims', async () => {
  const identity = await authenticate(`Bearer ${await token(good)}`)
  expect(identity).toMatchObject({ subject: 'u1', roles: ['AGENT'], scopes: ['a', 'b'], claims: { tenant: 'acme' } })
})

test('roles that are no list of strings grant nothing', async () => {
  for (const roles of ['ADMIN', { ADMIN: true }, [1, null], null]) {
    expect((await authenticate(`Bearer ${await token(good, { claims: { roles } })}`)).roles).toEqual([])
  }
})

describe('a bad token is UNAUTHENTICATED', () => {
  const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify({ roles: ['ADMIN'], iss: issuer, aud: audience, exp: 9e9 })).toString('base64url')}.`
  const symmetric = () =>
    new SignJWT({ roles: ['ADMIN'] })
      .setProtectedHeader({ alg: 'HS256', kid: 'good' })
      .setIssuer(issuer)
      .setAudience(audience)
      .setExpirationTime('5m')
      .sign(Buffer.from(JSON.stringify(good.jwk)))
  const cases: readonly (readonly [string, () => Promise<string> | string])[] = [
    ['none at all', () => ''],
    ['no bearer token', () => 'Basic dTpw'],
    ['garbage', () => 'Bearer garbage'],
    ['of another key with the same name', async () => `Bearer ${await token(other)}`],
    ['of an algorithm that is not pinned', async () => `Bearer ${await token(unpinned)}`],
    ['unsigned', () => `Bearer ${unsigned}`],
    ['signed with the public key as a shared secret', async () => `Bearer ${await symmetric()}`],
    ['expired', async () => `Bearer ${await token(good, { expires: '-10s' })}`],
    ['without an expiry', async () => `Bearer ${await token(good, { expires: null })}`],
    ['of another issuer', async () => `Bearer ${await token(good, { issuer: 'https://evil.example' })}`],
    ['for another audience', async () => `Bearer ${await token(good, { audience: 'elsewhere' })}`],
  ]
  test.each(cases)('%s', async (_, make) => expect(await codeOf((await make()) || undefined)).toBe('UNAUTHENTICATED'))

  test('also the second time, and after a good one', async () => {
    expect(await codeOf(`Bearer ${await token(good)}`)).toBe('accepted')
    const bad = `Bearer ${await token(other)}`
    expect([await codeOf(bad), await codeOf(bad)]).toEqual(['UNAUTHENTICATED', 'UNAUTHENTICATED'])
  })
})

test('a believed token is not believed past its expiry', async () => {
  const short = `Bearer ${await token(good, { expires: '-3s' })}`
  expect(await codeOf(short)).toBe('accepted')
  await new Promise((done) => setTimeout(done, 3_100))
  expect(await codeOf(short)).toBe('UNAUTHENTICATED')
})

const config = (jwksUrl: string | undefined, production: boolean) => ({
  schema: 'schema',
  port: 0,
  host: '127.0.0.1',
  production,
  tombstoneTtl: 'P30D',
  rollbackWindowMs: 3_600_000,
  dataDir: '/nonexistent',
  quarantineCap: 1000,
  reconcileShare: 0.02,
  journal: usualJournal,
  http: usualHttp,
  ...(jwksUrl === undefined ? {} : { jwksUrl, jwtIssuer: issuer, jwtAudience: audience }),
})

test('an identity provider that is away is UNAVAILABLE, and its return is noticed', async () => {
  let up = false
  const server = createServer((_, response) => {
    response.statusCode = up ? 200 : 500
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify({ keys: [good.jwk] }))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  const remote = await configuredAuthenticator(config(`http://127.0.0.1:${port}/jwks`, true))
  const bearer = `Bearer ${await token(good)}`
  await expect(remote(bearer)).rejects.toMatchObject({ extensions: { code: 'UNAVAILABLE' } })
  up = true
  await expect(remote(bearer)).resolves.toMatchObject({ roles: ['AGENT'] })
  server.closeAllConnections()
  await new Promise((done) => server.close(done))
  const gone = await configuredAuthenticator(config(`http://127.0.0.1:${port}/jwks`, true))
  await expect(gone(bearer)).rejects.toMatchObject({ extensions: { code: 'UNAVAILABLE' } })
})

test('production without an identity provider does not start', async () => {
  await expect(configuredAuthenticator(config(undefined, true))).rejects.toThrow('JWKS_URL')
})
