/** Keys derived from the one secret, each for its own purpose, and what is signed or sealed with them. */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import { join } from 'node:path'
import { onceWritten } from '../../platform/dev-keys.ts'

export type Keys = { readonly token: Buffer; readonly cursor: Buffer; readonly position: Buffer }

export const deriveKeys = (secret: string): Keys => {
  const derive = (purpose: string): Buffer => Buffer.from(hkdfSync('sha256', secret, 'forebay', purpose, 32))
  return { token: derive('token'), cursor: derive('cursor'), position: derive('position') }
}

/**
 * FOREBAY_SECRET, at least 32 characters, the same on every gateway. In development without it: a random one, kept in
 * `dataDir` so that tokens and cursors outlive a restart.
 */
export const readSecret = async (options: {
  readonly secret: string | undefined
  readonly production: boolean
  readonly dataDir: string
}): Promise<string> => {
  if (options.secret !== undefined && options.secret.length >= 32) return options.secret
  if (options.secret !== undefined || options.production) {
    throw new Error(
      'FOREBAY_SECRET must be set to at least 32 random characters, the same on every gateway: openssl rand -hex 32',
    )
  }
  const file = join(options.dataDir, 'secret')
  const kept = await onceWritten(file, async () => randomBytes(32).toString('hex'))
  if (kept.length < 32) throw new Error(`${file} holds no secret; remove it and a new one is made`)
  return kept
}

/**
 * AES-256-GCM: the reader learns nothing, and only text sealed for the same `context` opens. The nonce is derived from both, so that
 * equal answers have equal bytes.
 */
export const seal = (text: string, context: string, key: Buffer): string => {
  const nonce = createHmac('sha256', key)
    .update(JSON.stringify([context, text]))
    .digest()
    .subarray(0, 12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context))
  return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}
/** The sealed text, or undefined when it was tampered with or sealed for another context. */
export const unseal = (sealed: string, context: string, key: Buffer): string | undefined => {
  const bytes = Buffer.from(sealed, 'base64url')
  if (bytes.length < 28) return undefined
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12)).setAAD(Buffer.from(context))
    decipher.setAuthTag(bytes.subarray(-16))
    return decipher.update(bytes.subarray(12, -16), undefined, 'utf8') + decipher.final('utf8')
  } catch {
    return undefined
  }
}

const signature = (bytes: Buffer, key: Buffer): string =>
  createHmac('sha256', key).update(bytes).digest('base64url').slice(0, 22)
export const sign = (bytes: Buffer, key: Buffer): string => `${bytes.toString('base64url')}.${signature(bytes, key)}`
/** The signed bytes, or undefined when they weren't signed with this key. */
export const verify = (signed: string, key: Buffer): Buffer | undefined => {
  const [body = '', mark = ''] = signed.split('.')
  const bytes = Buffer.from(body, 'base64url')
  const right = Buffer.from(signature(bytes, key))
  const given = Buffer.from(mark)
  return given.length === right.length && timingSafeEqual(given, right) ? bytes : undefined
}
