/** Which epoch a record belongs to: that of its partition when it was applied, so that it comes to the same version again. */
import type { Sql } from '../../platform/postgres.ts'

export type EpochOf = (partition: number, offset: bigint) => number

export const readEpochs = async (sql: Sql, topic: string): Promise<EpochOf> => {
  const rows = await sql<{ partition: number; epoch: number; first: string }[]>`
    select partition, epoch, first_offset as first from forebay.epochs where topic = ${topic} order by epoch desc`
  const begun = Map.groupBy(
    rows.map((row) => ({ ...row, first: BigInt(row.first) })),
    ({ partition }) => partition,
  )
  // A topic made anew begins its epoch below where earlier ones did: what stands there by now is the newest's.
  return (partition, offset) => begun.get(partition)?.find(({ first }) => first <= offset)?.epoch ?? 0
}
