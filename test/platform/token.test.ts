import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { importJWK, jwtVerify } from 'jose'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { developmentToken, parseClaim, parseTtl } from '../../src/operate/token.ts'
import { developmentKeys } from '../../src/platform/dev-keys.ts'

let dataDir: string
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'forebay-keys-'))
})
afterEach(() => rm(dataDir, { recursive: true, force: true }))

const verified = async (token: string) => {
  const { publicJwk, issuer, audience } = await developmentKeys(dataDir)
  return jwtVerify(token, await importJWK(publicJwk, 'ES256'), { issuer, audience, algorithms: ['ES256'] })
}

test('a token carries what was asked for and is verified by the public key', async () => {
  const token = await developmentToken(
    { production: false, dataDir },
    {
      roles: ['AGENT', 'FRAUD'],
      tenant: 'acme',
      subject: 'x',
      scopes: ['a', 'b'],
      claims: { warehouses: ['w1', 'w2'] },
      ttl: 60,
    },
  )
  const { payload, protectedHeader } = await verified(token)
  expect(payload).toMatchObject({
    roles: ['AGENT', 'FRAUD'],
    tenant: 'acme',
    sub: 'x',
    scope: 'a b',
    warehouses: ['w1', 'w2'],
    iss: 'forebay-dev',
    aud: 'forebay',
  })
  expect(payload.exp! - payload.iat!).toBe(60)
  expect(protectedHeader.kid).toBe((await developmentKeys(dataDir)).publicJwk.kid)
})

test('without a tenant there is no tenant claim, and it lasts eight hours', async () => {
  const { payload } = await verified(await developmentToken({ production: false, dataDir }, { roles: ['OPERATOR'] }))
  expect(payload).not.toHaveProperty('tenant')
  expect(payload).not.toHaveProperty('scope')
  expect(payload.exp! - payload.iat!).toBe(8 * 3_600)
})

test('in production none is made, nor a key', async () => {
  await expect(developmentToken({ production: true, dataDir }, { roles: ['ADMIN'] })).rejects.toThrow(
    'not made in production',
  )
  expect(await readdir(dataDir)).toEqual([])
})

test('the key file is for its owner only, and the private part stays in it', async () => {
  const { publicJwk } = await developmentKeys(dataDir)
  expect((await stat(join(dataDir, 'dev-key.json'))).mode & 0o077).toBe(0)
  expect(publicJwk).not.toHaveProperty('d')
  expect(publicJwk).toMatchObject({ kty: 'EC', crv: 'P-256', alg: 'ES256' })
})

test('processes that start at once end with one key', async () => {
  const script = `import { developmentKeys } from ${JSON.stringify(join(import.meta.dirname, '../../src/platform/dev-keys.ts'))}
    process.stdout.write((await developmentKeys(${JSON.stringify(join(dataDir, 'new'))})).publicJwk.x)`
  const run = () => promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script])
  const keys = await Promise.all(Array.from({ length: 6 }, run))
  expect(new Set(keys.map(({ stdout }) => stdout)).size).toBe(1)
  expect(await readdir(join(dataDir, 'new'))).toEqual(['dev-key.json'])
})

test('a key file that is no key is named', async () => {
  await writeFile(join(dataDir, 'dev-key.json'), '{"kty')
  await expect(developmentKeys(dataDir)).rejects.toThrow(`${join(dataDir, 'dev-key.json')} is not a key; remove it`)
})

test.each([
  ['a=b', ['a', 'b']],
  ['a=', ['a', '']],
  ['a=b=c', ['a', 'b=c']],
  ['warehouses=w1,w2', ['warehouses', ['w1', 'w2']]],
  ['https://x.org/claim=1', ['https://x.org/claim', '1']],
])('the claim %s is read', (text, claim) => {
  expect(parseClaim(text)).toEqual(claim)
})
test.each(['a', '=b', 'roles=ADMIN', 'exp=1', 'tenant=x', '1a=b'])('the claim %s is refused', (text) => {
  expect(() => parseClaim(text)).toThrow('--claim')
})

test.each([
  ['PT8H', 28_800],
  ['P1D', 86_400],
  ['P1DT1H1M1S', 90_061],
  ['PT90S', 90],
])('%s lasts %i seconds', (text, seconds) => {
  expect(parseTtl(text)).toBe(seconds)
})
test.each(['', 'P', 'PT', '8h', '3600', 'PT0S', 'P2Y', 'PT8H ', 'P400D', 'PT-1H'])(
  'the duration %j is refused',
  (text) => {
    expect(() => parseTtl(text)).toThrow('--ttl')
  },
)
