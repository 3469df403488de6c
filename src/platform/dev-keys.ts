/** Development's identity provider: one ES256 key pair, made at first need and kept beside the embedded parts. Never in production. */
import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose'

export type DevelopmentKeys = {
  readonly privateKey: CryptoKey
  /** With `kid` and `alg`. */
  readonly publicJwk: JWK
  readonly issuer: 'forebay-dev'
  readonly audience: 'forebay'
}

/** Reads `<dataDir>/dev-key.json` or makes it (mode 0600). Processes that start at once end with the same key. */
export const developmentKeys = async (dataDir: string): Promise<DevelopmentKeys> => {
  const file = join(dataDir, 'dev-key.json')
  const text = await onceWritten(file, async () => JSON.stringify(await newKey()))
  const jwk = parse(text, file)
  const { d: _, ...publicJwk } = jwk
  const privateKey = await importJWK(jwk, 'ES256')
  if (privateKey instanceof Uint8Array) throw new Error(`${file} holds no private key; remove it and a new one is made`)
  return { privateKey, publicJwk, issuer: 'forebay-dev', audience: 'forebay' }
}

const newKey = async (): Promise<JWK> => {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = await exportJWK(privateKey)
  return { ...jwk, alg: 'ES256', use: 'sig', kid: await calculateJwkThumbprint(jwk) }
}

const parse = (text: string, file: string): JWK => {
  try {
    return JSON.parse(text) as JWK
  } catch (error) {
    throw new Error(`${file} is not a key; remove it and a new one is made`, { cause: error })
  }
}

/** The file appears whole or not at all, and whoever comes second takes the first one's. */
export const onceWritten = async (file: string, make: () => Promise<string>): Promise<string> => {
  const present = await readFile(file, 'utf8').catch(() => undefined)
  if (present !== undefined) return present
  await mkdir(join(file, '..'), { recursive: true })
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`
  await writeFile(draft, await make(), { mode: 0o600 })
  try {
    await link(draft, file)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    await unlink(draft)
  }
  return readFile(file, 'utf8')
}
