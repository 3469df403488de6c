/** Whether what a token requires is applied, by one snapshot of the positions (C27). What is applied may still have to be worked into views. */

import { isOfSource, type Required, type RequiredOffset, requiredName } from './position-token.ts'
import type { Partition } from './snapshot.ts'

type Positions = readonly Partition[]

const byPlace = new WeakMap<Positions, ReadonlyMap<string, Partition>>()
const placeOf = ({ topic, partition }: Pick<Partition, 'topic' | 'partition'>): string => `${topic}-${partition}`
const find = (positions: Positions, required: RequiredOffset): Partition | undefined => {
  let known = byPlace.get(positions)
  if (!known) {
    known = new Map(positions.map((one) => [placeOf(one), one]))
    byPlace.set(positions, known)
  }
  return known.get(placeOf(required))
}

/** A position of an earlier epoch is behind all that began at it or later. */
const isPassedBy = ({ epoch, next }: RequiredOffset, found: Partition): boolean =>
  epoch === null || epoch === found.epoch
    ? BigInt(found.nextOffset) >= next
    : found.epoch > epoch && found.epochStart !== null && BigInt(found.epochStart) >= next

/** Of a source's commit: once everything that it had committed up to there is applied, of each of its topics that matter. */
const sourcesOf = (source: string, positions: Positions, topics: readonly string[]): Positions =>
  positions.filter(({ topic }) => isOfSource(source, topic) && topics.includes(topic))

/** `topics`: that the view depends on; others' positions don't matter to it. */
export const hasPassed = (required: Required, positions: Positions, topics: readonly string[]): boolean => {
  if (required.kind === 'OFFSET') {
    if (!topics.includes(required.topic)) return true
    const found = find(positions, required)
    return found !== undefined && isPassedBy(required, found)
  }
  return sourcesOf(required.source, positions, topics).every(
    ({ sourceLsn }) => sourceLsn !== null && BigInt(sourceLsn) >= required.lsn,
  )
}

/**
 * Why waiting for it is in vain: it speaks of something that isn't here; undefined where it doesn't. A partition that isn't known yet of a topic
 * that is may have just been added. `topics`: all that views here depend on.
 */
export const whyForeign = (
  required: Required,
  positions: Positions,
  topics: ReadonlySet<string>,
): string | undefined => {
  const name = requiredName(required)
  if (required.kind === 'LSN') {
    const own = positions.filter(({ topic }) => isOfSource(required.source, topic) && topics.has(topic))
    if (own.length === 0) return `${name}: no topic here is read from a source of that name`
    const known = own.some(({ sourceLsn }) => sourceLsn !== null)
    return known ? undefined : `${name}: how far that source has got its commits into the log is not known here`
  }
  if (!topics.has(required.topic)) return `${name}: no view here depends on that topic`
  const found = find(positions, required)
  if (found === undefined) return undefined
  if (required.topicId !== null && found.topicId !== null && required.topicId !== found.topicId)
    return `${name}: that topic was deleted and made anew since`
  if (required.epoch === null || required.epoch === found.epoch) return undefined
  if (required.epoch > found.epoch) return `${name}: that partition has no epoch ${required.epoch}`
  return isPassedBy(required, found) ? undefined : `${name}: that partition's log began anew since`
}
