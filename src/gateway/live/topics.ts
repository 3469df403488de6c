/**
 * Answers that are kept current: one topic for all who ask the same and may see the same. It is answered anew when the change feed names what it
 * was made of, at most once a tick, and told of only where the answer is another.
 *
 * Why no change is missed: an answer is read from the primary after the change was told, and the feed tells only what is committed. What is
 * told while an answer is read marks it again. Where the feed is lost, or a gap, everything is asked again, and each second until it is back.
 */
import { gauge, histogram } from '../../platform/metrics.ts'
import type { ChangeFeed } from '../feed/feed.ts'
import type { Reads } from './reads.ts'

/** `data`: what of it matters for whether it is another. `ends`: it is refused, and will stay so. `again`: it could not be had; it is tried again. */
export type Answer = {
  readonly result: object
  readonly data: string
  readonly reads: Reads
  readonly ends: boolean
  readonly again: boolean
}
export type Topic = {
  /** Counts the answers that differ from the one before. */
  version(): number
  latest(): Answer | undefined
  /** Calls at each new version. Answers with what ends it. */
  listen(changed: () => void): () => void
}
export type Topics = {
  /** `name`: equal for what is answered alike for all. */
  join(name: string, answer: () => Promise<Answer>): Topic & { leave(): void }
  stop(): void
}

const tickMs = 25
/** What has no feed to tell of it, and what time changes. */
const pollMs = 1_000
const atOnce = 32

const kept = gauge({ name: 'forebay_live_topics', help: 'Answers that are kept current.' })
const answered = histogram({
  name: 'forebay_live_answer_seconds',
  help: 'Time to make an answer anew for all who follow it.',
})

const isWithin = (reads: Reads, known: Reads | undefined): boolean =>
  known !== undefined && reads.rows.isSubsetOf(known.rows) && reads.whole.isSubsetOf(known.whole)

type Kept = {
  readonly name: string
  readonly answer: () => Promise<Answer>
  readonly listeners: Set<() => void>
  version: number
  latest: Answer | undefined
  reads: Reads | undefined
  members: number
  running: boolean
  again: boolean
}

export const createTopics = (feed: Pick<ChangeFeed, 'listen' | 'follows'>): Topics => {
  const topics = new Map<string, Kept>()
  const byRow = new Map<string, Set<Kept>>()
  const byView = new Map<string, Set<Kept>>()
  const byWhole = new Map<string, Set<Kept>>()
  const told = new Map<string, number>()
  const due = new Set<Kept>()
  let timer: NodeJS.Timeout | undefined
  let running = 0

  const index = (to: Map<string, Set<Kept>>, names: Iterable<string>, topic: Kept): void => {
    for (const name of names) {
      const set = to.get(name) ?? new Set()
      set.add(topic)
      to.set(name, set)
    }
  }
  const unindex = (from: Map<string, Set<Kept>>, names: Iterable<string>, topic: Kept): void => {
    for (const name of names) {
      const set = from.get(name)
      set?.delete(topic)
      if (set?.size === 0) from.delete(name)
    }
  }
  const forget = (topic: Kept): void => {
    if (!topic.reads) return
    unindex(byRow, topic.reads.rows, topic)
    unindex(byView, topic.reads.views, topic)
    unindex(byWhole, topic.reads.whole, topic)
  }
  const mark = (topic: Kept): void => {
    if (topic.running) topic.again = true
    else due.add(topic)
    timer ??= setTimeout(tick, tickMs)
  }
  const markAll = (): void => {
    for (const topic of topics.values()) mark(topic)
  }
  const tick = (): void => {
    timer = undefined
    for (const topic of due) {
      if (running >= atOnce) break
      due.delete(topic)
      void refresh(topic)
    }
  }
  const refresh = async (topic: Kept): Promise<void> => {
    topic.running = true
    running += 1
    const before = new Map(told)
    const began = performance.now()
    const answer = await topic.answer()
    answered.observe((performance.now() - began) / 1_000)
    running -= 1
    topic.running = false
    if (!topics.has(topic.name) || topics.get(topic.name) !== topic) return next()
    const known = topic.reads
    if (!answer.again) {
      forget(topic)
      topic.reads = answer.reads
      index(byRow, answer.reads.rows, topic)
      index(byView, answer.reads.views, topic)
      index(byWhole, answer.reads.whole, topic)
    }
    // Told of meanwhile, when nobody knew yet that it is of this answer.
    const news = !isWithin(answer.reads, known)
    const stirred = [...answer.reads.views].some((view) => told.get(view) !== before.get(view))
    if (topic.again || (news && stirred)) {
      topic.again = false
      mark(topic)
    }
    if (!answer.again && answer.data !== topic.latest?.data) {
      topic.latest = answer
      topic.version += 1
      for (const listener of topic.listeners) listener()
    } else if (answer.again) setTimeout(() => topics.get(topic.name) === topic && mark(topic), pollMs).unref()
    next()
  }
  const next = (): void => {
    if (due.size > 0) timer ??= setTimeout(tick, running < atOnce ? 0 : tickMs)
  }
  const markIn = (set: Set<Kept> | undefined): void => {
    if (set) for (const topic of set) mark(topic)
  }
  const unlisten = feed.listen({
    changed: (rows) => {
      for (const { view, key } of rows) {
        told.set(view, (told.get(view) ?? 0) + 1)
        markIn(byRow.get(key))
        markIn(byWhole.get(view))
      }
    },
    changedWhole: (view) => {
      told.set(view, (told.get(view) ?? 0) + 1)
      markIn(byView.get(view))
    },
    dropped: markAll,
  })
  let followed = feed.follows()
  const poll = setInterval(() => {
    const follows = feed.follows()
    if (!follows || !followed) markAll()
    else for (const topic of topics.values()) if (topic.reads?.rolling) mark(topic)
    followed = follows
  }, pollMs).unref()

  return {
    join(name, answer) {
      let topic = topics.get(name)
      if (!topic) {
        topic = {
          name,
          answer,
          listeners: new Set(),
          version: 0,
          latest: undefined,
          reads: undefined,
          members: 0,
          running: false,
          again: false,
        }
        topics.set(name, topic)
        kept.set(topics.size)
        void refresh(topic)
      }
      const own = topic
      own.members += 1
      return {
        version: () => own.version,
        latest: () => own.latest,
        listen: (changed) => {
          own.listeners.add(changed)
          return () => own.listeners.delete(changed)
        },
        leave: () => {
          own.members -= 1
          if (own.members > 0) return
          forget(own)
          due.delete(own)
          if (topics.get(name) === own) topics.delete(name)
          kept.set(topics.size)
        },
      }
    },
    stop() {
      unlisten()
      clearInterval(poll)
      clearTimeout(timer)
      topics.clear()
    },
  }
}
