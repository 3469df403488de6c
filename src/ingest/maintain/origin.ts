/** Where pending work came from: the bound that its view can't be fresher than (C22). */
export type Origin = {
  /** The earliest frontier before the batches it came from; null: no bound is known. As Postgres writes it, in UTC. */
  readonly origin: string | null
  /** topic → partition → first offset of the batch, as JSON; null where the work is no change's (a first filling). */
  readonly offsets: string | null
}

type Offsets = Record<string, Record<string, string>>

/** The earliest of all: forwards, rests and coalesced work keep the minimum. Instants in one UTC form compare as text. */
export const earliest = (origins: readonly Origin[]): Origin => {
  const times = origins.map(({ origin }) => origin)
  const merged: Offsets = {}
  for (const { offsets } of origins) {
    for (const [topic, partitions] of Object.entries(offsets ? (JSON.parse(offsets) as Offsets) : {})) {
      merged[topic] ??= {}
      for (const [partition, offset] of Object.entries(partitions)) {
        const known = merged[topic][partition]
        if (known === undefined || BigInt(offset) < BigInt(known)) merged[topic][partition] = offset
      }
    }
  }
  return {
    origin: times.reduce((a, b) => (a === null || b === null ? null : [a, b].sort()[0]!), times[0] ?? null),
    offsets: Object.keys(merged).length ? JSON.stringify(merged) : null,
  }
}
