/** What a view keeps, compared with what defines it by its own proofs, all keys at once. */
import { differences } from '../../src/ingest/maintain/prove.ts'
import type { Proof } from '../../src/model/sql/proof.ts'
import type { Sql } from '../../src/platform/postgres.ts'

export type Unproven = { readonly node: number; readonly key: string; readonly kind: string }

export const unproven = async (sql: Sql, proofs: readonly Proof[]): Promise<readonly Unproven[]> => {
  const found: Unproven[] = []
  for (const proof of proofs) {
    const keys = await sql.unsafe<{ k: string }[]>(proof.first, [1_000_000])
    const differing = await differences(
      sql as never,
      proof,
      keys.map(({ k }) => k),
    )
    found.push(...differing.map(({ k, kind }) => ({ node: proof.node, key: k, kind })))
  }
  return found
}
