/** Delivers a log to appliers in batches, as sources do: each partition in order, `from` where the last batch ended. */
import type { ApplyResult } from '../../src/ingest/apply/apply.ts'
import type { Item, Stretch } from '../../src/ingest/apply/stretch.ts'
import type { LogRecord } from '../../src/ingest/change.ts'
import type { Sql } from '../../src/platform/postgres.ts'
import type { Log } from './change-arbitrary.ts'
import type { Draw } from './draw.ts'
import type { Engine } from './engine.ts'

const itemOf = (decoder: Engine['decoder'], record: LogRecord): Item => {
  const decoded = decoder.decode(record, 0)
  return {
    record,
    changes: decoded.flatMap((d) => (d.kind === 'changes' ? d.changes : [])),
    sets: decoded.flatMap((d) => (d.kind === 'changes' ? d.sets : [])),
    bad: decoded.flatMap((d) => (d.kind === 'bad' ? [{ record, entity: d.entity, reason: d.reason }] : [])),
  }
}

export const stretchOf = (decoder: Engine['decoder'], records: readonly LogRecord[], from: bigint): Stretch => {
  const { topic, partition, offset } = records.at(-1)!
  return { topic, partition, from, to: offset + 1n, items: records.map((record) => itemOf(decoder, record)) }
}

/** Partitions start at offset 0, whatever the log's first record. */
export const startPositions = async (sql: Sql, log: Log): Promise<void> => {
  for (const [record] of log.values())
    await sql`insert into forebay.positions (topic, partition, next_offset) values (${record!.topic}, ${record!.partition}, 0)
      on conflict do nothing`
}

/** One partition cut into stretches of at most `most` records. */
export const stretches = (engine: Engine, draw: Draw, lane: readonly LogRecord[], most: number): readonly Stretch[] => {
  const out: Stretch[] = []
  for (let at = 0, from = 0n; at < lane.length; ) {
    const size = 1 + draw.below(most)
    const stretch = stretchOf(engine.decoder, lane.slice(at, at + size), from)
    out.push(stretch)
    at += size
    from = stretch.to
  }
  return out
}

/** Applies every partition's stretches in some order across partitions; one batch may hold stretches of several. */
export const playAll = async (engine: Engine, draw: Draw, log: Log, most: number): Promise<void> => {
  const lanes = [...log.values()].map((lane) => [...stretches(engine, draw, lane, most)])
  for (let open = lanes.filter((l) => l.length > 0); open.length > 0; open = open.filter((l) => l.length > 0)) {
    const first = draw.pick(open)
    const batch = [first, ...draw.some(open, 3).filter((lane) => lane !== first)].map((lane) => lane.shift()!)
    expectApplied(await engine.applier.apply(batch))
  }
}

export const expectApplied = (result: ApplyResult): void => {
  if (result.kind !== 'applied') throw new Error(`a batch was not applied: ${JSON.stringify(result)}`)
  if (result.quarantined > 0) throw new Error(`${result.quarantined} records were quarantined`)
}
