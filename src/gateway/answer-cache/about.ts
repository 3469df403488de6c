/**
 * What the answers of a plan speak of, and what is said of their freshness at this moment. What is kept of an answer are its data alone: how fresh
 * they are is said anew with each response, by the latest snapshot, in a text that is spliced in behind them.
 */
import { present } from '../../platform/present.ts'
import type { ChangeFeed } from '../feed/feed.ts'
import { answerFreshness, freshnessHeaders } from '../freshness/answer-freshness.ts'
import { type Shown, type ViewFreshness, viewFreshness } from '../freshness/freshness.ts'
import type { Seen, Watch } from '../freshness/watch.ts'

/** The views whose rows were read, each with the generation that they were read from and the fields that are shown. */
export type About = ReadonlyMap<string, { readonly generation: number; readonly shown: Shown }>
export type Said = {
  /** All that follows the data, with what closes the answer, in UTF-8, a byte a character. */
  readonly tail: string
  readonly headers: readonly (readonly [string, string])[]
  /** The same headers, names and values in turn. */
  readonly flat: readonly string[]
}
/** Undefined where answers about this can't be taken from what is kept: by what is known now they must be read. */
export type Saying = (about: About) => Said | undefined

type Known = { readonly seen: Seen; readonly now: number; readonly said: Said | undefined }

/** UTF-8, a byte a character: what is written so needs no encoding any more. */
export const bytesOf = (text: string): string => Buffer.from(text).toString('latin1')
export const textOf = (bytes: string): string => Buffer.from(bytes, 'latin1').toString()

/** The text behind an answer's data. */
export const tailOf = (extensions: Readonly<Record<string, unknown>>): string =>
  Object.keys(extensions).length > 0 ? `,"extensions":${JSON.stringify(extensions)}}\n` : '}\n'

/** Ages are rounded up to it: an answer may be said to be older than it is, never younger. */
const stepMs = 5

export const createSaying = (options: {
  readonly watch: Pick<Watch, 'current'>
  readonly feed: Pick<ChangeFeed, 'covers'>
  /** Upper bound of the primary's clock, in whole milliseconds. */
  readonly now: () => number
  /** Of position tokens. */
  readonly key: Buffer
}): Saying => {
  const { watch, feed, now: clock, key } = options
  /** To the requests of one step the same is said. */
  const known = new WeakMap<About, Known>()

  const say = (about: About, seen: Seen, now: number): Said | undefined => {
    const views = new Map<string, ViewFreshness>()
    for (const [view, { generation, shown }] of about) {
      const served = seen.serving.views.get(view)
      if (served?.generation !== generation) return undefined
      const freshness = viewFreshness(seen, served.basis, now, shown)
      // Its rows are asked each time whether what they depend on is in quarantine.
      if (freshness.held !== 'none') return undefined
      views.set(view, freshness)
    }
    const freshness = answerFreshness(views, now, key)
    const headers = freshness ? freshnessHeaders(freshness) : []
    return { tail: bytesOf(tailOf(present({ freshness }))), headers, flat: headers.flat() }
  }
  return (about) => {
    const seen = watch.current()
    if (seen === undefined || !feed.covers(seen.feeds)) return undefined
    const now = Math.ceil(clock() / stepMs) * stepMs
    const last = known.get(about)
    if (last?.seen === seen && last.now === now) return last.said
    const said = say(about, seen, now)
    known.set(about, { seen, now, said })
    return said
  }
}
