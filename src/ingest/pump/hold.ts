/**
 * Partitions held at a record that can't be read yet: nothing of it is lost, nothing behind it overtakes it, and other partitions go on.
 * A hold is this process's own and ends with it; the reason stands with the position while it lasts, so that operators and freshness
 * see it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { fullJitter } from '../../platform/breaker.ts'
import { log } from '../../platform/log.ts'
import { gauge } from '../../platform/metrics.ts'
import type { Sql } from '../../platform/postgres.ts'
import { describeHold, endHold } from '../source/positions.ts'
import { type Partition, partitionName } from '../source.ts'

const held = gauge({
  name: 'forebay_partitions_held',
  help: 'Partitions that wait for a schema, or for a schema folder that fits theirs, by topic.',
  labels: ['topic'],
})
const stoppedEntities = gauge({
  name: 'forebay_entity_stopped',
  help: '1 for an entity that is stopped, since its source’s schema does not give what the schema folder declares.',
  labels: ['entity'],
})
const said = new Set<string>()
/** The alert, once a reason: the entity goes on only when another schema folder is started, or the same one again. */
export const sayStopped = (entity: string, partition: Partition, reason: string): void => {
  stoppedEntities.set({ entity }, 1)
  if (said.has(reason)) return
  said.add(reason)
  log.error('entity.stopped', { entity, partition: partitionName(partition), reason })
}

const firstRetryMs = 250
const longestRetryMs = 10_000

export type Holds = {
  /** Tries until `attempt` succeeds, and says meanwhile what it waits for. False: let go before that. */
  until(partition: Partition, attempt: () => Promise<void>): Promise<boolean>
  /** Waits at a record whose schema stops the entity, until it is let go. */
  stay(partition: Partition, entity: string, reason: string): Promise<void>
  /** Whatever waits for these partitions (absent: for any) gives up. */
  letGo(partitions?: readonly Partition[]): void
}

export const createHolds = (sql: Sql): Holds => {
  const terms = new Map<string, PromiseWithResolvers<void>>()
  const termOf = (partition: Partition): PromiseWithResolvers<void> => {
    const name = partitionName(partition)
    const term = terms.get(name) ?? Promise.withResolvers<void>()
    terms.set(name, term)
    return term
  }
  const begin = async (partition: Partition, reason: string): Promise<void> => {
    held.inc({ topic: partition.topic })
    await describeHold(sql, partition, reason).catch((error: unknown) => log.warn('hold.unsaid', { error }))
  }
  const end = async (partition: Partition): Promise<void> => {
    held.dec({ topic: partition.topic })
    await endHold(sql, [partition]).catch((error: unknown) => log.warn('hold.unsaid', { error }))
  }

  return {
    async until(partition, attempt) {
      const term = termOf(partition)
      const over = term.promise.then(() => 'over' as const)
      let said: string | undefined
      for (let failures = 1; ; failures++) {
        const outcome = await Promise.race([over, attempt().then(() => undefined, reasonOf)])
        if (outcome === 'over') {
          if (said !== undefined) held.dec({ topic: partition.topic })
          return false
        }
        if (outcome === undefined) {
          if (said === undefined) return true
          await end(partition)
          log.info('partition.released', { partition: partitionName(partition) })
          return true
        }
        if (outcome.text !== said)
          log.warn('partition.held', { partition: partitionName(partition), reason: outcome.text })
        if (said === undefined) await begin(partition, outcome.text)
        else if (said !== outcome.text) await describeHold(sql, partition, outcome.text).catch(() => {})
        said = outcome.text
        const ms = fullJitter(failures, firstRetryMs, longestRetryMs)
        await Promise.race([over, sleep(ms, undefined, { ref: false })])
      }
    },
    async stay(partition, entity, reason) {
      sayStopped(entity, partition, reason)
      await begin(partition, reason)
      await termOf(partition).promise
      held.dec({ topic: partition.topic })
    },
    letGo(partitions) {
      for (const name of partitions?.map(partitionName) ?? [...terms.keys()]) {
        terms.get(name)?.resolve()
        terms.delete(name)
      }
    },
  }
}

const reasonOf = (error: unknown): { readonly text: string } => ({
  text: error instanceof Error ? error.message : String(error),
})
