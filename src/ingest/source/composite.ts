/**
 * Several logs as one: each topic belongs to one of them. What a log may promise of its own partitions it promises here of all: the
 * sink is told the whole set whenever one part of it changes, and the others go on as they were.
 */
import { log } from '../../platform/log.ts'
import type { Extent, LogSource, Partition, Sink } from '../source.ts'

export type Part = { readonly topics: ReadonlySet<string>; readonly source: LogSource }

export const compositeSource = (parts: readonly Part[]): LogSource => {
  const held = new Map<Part, { readonly extents: readonly Extent[]; readonly log: readonly Extent[] }>()
  const silent = new Set<Part>()
  let assigning: Promise<unknown> = Promise.resolve()

  const sinkOf = (part: Part, sink: Sink): Sink => ({
    ...sink,
    assigned(extents, log = extents) {
      const assign = async () => {
        held.set(part, { extents, log })
        const all = [...held.values()]
        const positions = await sink.assigned(
          all.flatMap((one) => one.extents),
          all.flatMap((one) => one.log),
        )
        return positions.filter(({ topic }) => part.topics.has(topic))
      }
      const result = assigning.then(assign, assign)
      assigning = result
      return result
    },
  })

  type Answer = { readonly extents: readonly Extent[] } | { readonly error: unknown }
  const ask = async (part: Part): Promise<Answer> => {
    try {
      const extents = await part.source.extents()
      if (silent.delete(part)) log.info('log.answers', { source: part.source.kind })
      return { extents }
    } catch (error) {
      if (!silent.has(part)) log.warn('log.silent', { source: part.source.kind, error })
      silent.add(part)
      return { error }
    }
  }

  return {
    kind: parts.some(({ source }) => source.kind === 'kafka') ? 'kafka' : 'journal',
    async start(sink) {
      await Promise.all(parts.map((part) => part.source.start(sinkOf(part, sink))))
    },
    rewind(positions, stopped = []) {
      for (const { topics, source } of parts) {
        const isOwn = ({ topic }: Partition) => topics.has(topic)
        if (positions.some(isOwn) || stopped.some(isOwn)) source.rewind(positions.filter(isOwn), stopped.filter(isOwn))
      }
    },
    /** Of the logs that answer; throws when none does. */
    async extents() {
      const answers = await Promise.all(parts.map(ask))
      const failed = answers.filter((answer) => 'error' in answer)
      if (failed.length === parts.length) throw failed[0]?.error
      return answers.flatMap((answer) => ('extents' in answer ? answer.extents : []))
    },
    async offsetsAt(topic, at) {
      const part = parts.find(({ topics }) => topics.has(topic))
      return part === undefined ? [] : part.source.offsetsAt(topic, at)
    },
    async *reread(ranges, signal) {
      for (const { topics, source } of parts) {
        const own = ranges.filter(({ topic }) => topics.has(topic))
        if (own.length > 0) yield* source.reread(own, signal)
      }
    },
    status: () => parts.map(({ source }) => source.status()).find((trouble) => trouble !== undefined),
    async stop() {
      await Promise.all(parts.map(({ source }) => source.stop()))
    },
  }
}
