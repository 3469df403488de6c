/** Records as an applier takes them. */
import type { ApplyResult } from '../../src/ingest/apply/apply.ts'
import { itemOf, type Stretch } from '../../src/ingest/apply/stretch.ts'
import type { LogRecord } from '../../src/ingest/change.ts'
import type { Decoder } from '../../src/ingest/decode.ts'

/** `records`: those that follow one another from `from` on, at least one. */
export const stretchOf = (decoder: Decoder, records: readonly LogRecord[], from: bigint, epoch = 0): Stretch => {
  const { topic, partition, offset } = records.at(-1)!
  return {
    topic,
    partition,
    from,
    to: offset + 1n,
    epoch,
    items: records.map((record) => itemOf(record, decoder.decode(record, epoch))),
  }
}

export const expectApplied = (result: ApplyResult): void => {
  if (result.kind !== 'applied') throw new Error(`a batch was not applied: ${JSON.stringify(result)}`)
  if (result.parked > 0) throw new Error(`${result.parked} records were parked`)
}
