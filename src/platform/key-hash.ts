/**
 * How keys and tenants are named where they would be seen: in the change feed, in names of cached rows, in metrics. A hash under a secret
 * that the database holds, so that who sees a feed or a cache alone can't try out keys (C33). 128 bits: two keys never share a name.
 */
import { hash } from 'node:crypto'
import type { Sql } from './postgres.ts'

export type KeyHash = {
  /** Empty for a view without tenants. */
  tenant(tenant: string | null): string
  /** Of one row: `definition` is the hash of its view's definition. */
  row(definition: string, tenant: string | null, key: readonly (string | null)[]): string
}

/** Half of SHA-256 over the secret and the text: what is cut off keeps a hash from being extended. */
export const createKeyHash = (secret: string): KeyHash => {
  const of = (kind: string, text: string): string => hash('sha256', secret + kind + text, 'base64url').slice(0, 22)
  return {
    tenant: (tenant) => (tenant === null ? '' : of('tenant', tenant)),
    row: (definition, tenant, key) => of('row', JSON.stringify([definition, tenant, ...key])),
  }
}

/** By the database's own secret. */
export const readKeyHash = async (sql: Pick<Sql, 'unsafe'>): Promise<KeyHash> => {
  const [row] = await sql.unsafe<{ secret: string }[]>('select secret from forebay.key_secret')
  if (row === undefined) throw new Error('forebay.key_secret is empty; run forebay migrate')
  return createKeyHash(row.secret)
}
