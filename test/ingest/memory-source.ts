/** A log in memory, read as `LogSource` promises: in order, each batch from where the last one ended, rewound when told. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LogRecord, Position } from '../../src/ingest/change.ts'
import { type LogSource, type Partition, partitionName, type Sink } from '../../src/ingest/source.ts'

export type MemorySource = Pick<LogSource, 'rewind'> & {
  append(...records: readonly LogRecord[]): void
  /** Reads on until `stop`; settles once the sink has assigned the partitions. */
  start(sink: Sink): Promise<void>
  /** What it was told to go back to, in order. */
  readonly rewound: readonly Position[]
  stop(): Promise<void>
}

/** `batch`: records delivered at once. Records are of these partitions, each partition's in the order of their offsets, from 0 on. */
export const memorySource = (partitions: readonly Partition[], batch = 1_000): MemorySource => {
  const logs = new Map(partitions.map((at) => [partitionName(at), [] as LogRecord[]]))
  const next = new Map<string, Position>()
  const rewound: Position[] = []
  let stopped = false
  const ended = Promise.withResolvers<void>()
  let running: Promise<unknown> = Promise.resolve()

  const read = async (sink: Sink, { topic, partition }: Partition): Promise<void> => {
    const name = partitionName({ topic, partition })
    while (!stopped) {
      const at = next.get(name)
      const records = (logs.get(name) ?? []).filter(({ offset }) => at && offset >= at.offset).slice(0, batch)
      if (!at || records.length === 0) {
        await sleep(2)
        continue
      }
      const to = records.at(-1)!.offset + 1n
      const delivered = sink.deliver({ topic, partition, from: at.offset, to, records }).catch(() => sleep(5))
      await Promise.race([delivered, ended.promise])
      if (next.get(name) === at) next.set(name, { topic, partition, offset: to })
    }
  }
  return {
    rewound,
    append: (...records) => {
      for (const record of records) logs.get(partitionName(record))!.push(record)
    },
    async start(sink) {
      const extents = partitions.map((at) => ({
        ...at,
        start: 0n,
        end: (logs.get(partitionName(at))!.at(-1)?.offset ?? -1n) + 1n,
      }))
      for (const { topic, partition, offset } of await sink.assigned(extents))
        next.set(partitionName({ topic, partition }), { topic, partition, offset })
      running = Promise.all(partitions.map((at) => read(sink, at)))
    },
    rewind(positions) {
      rewound.push(...positions)
      for (const { topic, partition, offset } of positions)
        next.set(partitionName({ topic, partition }), { topic, partition, offset })
    },
    async stop() {
      stopped = true
      ended.resolve()
      await running
    },
  }
}
