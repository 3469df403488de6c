import type { LogRecord } from '../../src/ingest/change.ts'
import { type Batch, type Claim, type Partition, partitionName, type Sink } from '../../src/ingest/source.ts'

export type MemorySink = Sink & {
  readonly batches: Batch[]
  readonly stopped: Map<string, string>
  /** Next offsets, as the positions in Postgres would be. */
  readonly positions: Map<string, Claim>
  records(): LogRecord[]
  values(): string[]
}

/** Applies at once, in memory; `onDeliver` may delay or refuse. Throws where a batch doesn't start at the position. */
export const memorySink = (onDeliver: (batch: Batch) => Promise<void> = async () => {}): MemorySink => {
  const batches: Batch[] = []
  const stopped = new Map<string, string>()
  const positions = new Map<string, Claim>()
  return {
    batches,
    stopped,
    positions,
    records: () => batches.flatMap(({ records }) => records),
    values: () => batches.flatMap(({ records }) => records.map(({ value }) => String(value))),
    async assigned(extents) {
      for (const { topic, partition, start, topicId } of extents) {
        const name = partitionName({ topic, partition })
        if (!positions.has(name)) {
          const claim = { topic, partition, offset: start }
          positions.set(name, topicId === undefined ? claim : { ...claim, topicId })
        }
      }
      return extents
        .filter((extent) => !stopped.has(partitionName(extent)))
        .map((extent) => positions.get(partitionName(extent))!)
    },
    async deliver(batch) {
      await onDeliver(batch)
      const name = partitionName(batch)
      const position = positions.get(name)
      if (position?.offset !== batch.from) throw new Error(`${name} is at ${position?.offset}, not at ${batch.from}`)
      positions.set(name, { ...position, offset: batch.to })
      batches.push(batch)
    },
    async stuck(partition: Partition, reason) {
      stopped.set(partitionName(partition), reason)
    },
  }
}

/** Of another member, at the other's positions. */
export const memorySinkOver = (other: MemorySink): MemorySink => {
  const sink = memorySink()
  return {
    ...sink,
    positions: other.positions,
    async assigned(extents) {
      await other.assigned(extents)
      return extents.map((extent) => other.positions.get(partitionName(extent))!)
    },
    async deliver(batch) {
      const name = partitionName(batch)
      const position = other.positions.get(name)!
      if (position.offset !== batch.from) throw new Error('behind')
      other.positions.set(name, { ...position, offset: batch.to })
      sink.batches.push(batch)
    },
  }
}
