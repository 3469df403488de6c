/** The answer cache: finished answers, what a request finds among them, and the lane for requests that come again to the letter. */
import type { Identity } from '../access/auth.ts'
import type { ChangeFeed } from '../feed/feed.ts'
import type { Watch } from '../freshness/watch.ts'
import { createSaying } from './about.ts'
import { createAnswers } from './answers.ts'
import { createKeepings, type Keepings } from './keeping.ts'
import { createLane, type Lane } from './lane.ts'

export type AnswerCache = { readonly keepings: Keepings; readonly lane: Lane; stop(): void }

export const createAnswerCache = (options: {
  readonly feed: ChangeFeed
  readonly watch: Pick<Watch, 'current'>
  /** Upper bound of the primary's clock, in whole milliseconds. */
  readonly now: () => number
  /** Of position tokens. */
  readonly key: Buffer
  /** Who sends this Authorization, while that is believed. */
  readonly known: (authorization: string) => Identity | undefined
  readonly maxBytes?: number
}): AnswerCache => {
  const { feed, known, maxBytes } = options
  const saying = createSaying(options)
  const answers = createAnswers(feed, maxBytes)
  return {
    keepings: createKeepings(answers, saying, feed),
    lane: createLane(known, answers, saying),
    stop: answers.stop,
  }
}
