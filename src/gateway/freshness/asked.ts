/**
 * What a caller asks of an answer's freshness, by headers and by `@fresh` on the operation. Where both speak, the stricter counts: the lesser
 * staleness, every token, STRONG over EVENTUAL, FAIL over WAIT over SERVE, the shorter wait.
 *
 * Staleness is counted from when the request arrived: what is asked is a moment, which the answer's asOf must have reached, so a request
 * that waits comes ever nearer to it.
 */
import { refusal } from '../errors.ts'
import { type Required, readToken } from './position-token.ts'
import { spanMs } from './span.ts'

export type OnStale = 'SERVE' | 'WAIT' | 'FAIL'
/** All absent: nothing is asked. */
export type Ask = {
  readonly maxStalenessMs?: number
  /** Positions that must be applied and worked in. */
  readonly after?: readonly Required[]
  /** When the latest of the answers was read whose tokens are in `after`, by the primary's clock. */
  readonly readAt?: number
  readonly strong?: boolean
  readonly onStale?: OnStale
  readonly waitMs?: number
}

/** How long a request waits at most, asked for or not. */
const longestWaitMs = 10_000
const usualWaitMs = 2_000
const mostTokens = 64

const headerNames = {
  maxStaleness: 'forebay-max-staleness',
  after: 'forebay-after',
  consistency: 'forebay-consistency',
  onStale: 'forebay-on-stale',
  wait: 'forebay-wait',
} as const
type Word = keyof typeof headerNames
type Texts = Readonly<Partial<Record<Word, string>>>
const words = Object.keys(headerNames) as readonly Word[]

const allowed: Readonly<Record<Word, string>> = {
  maxStaleness: 'a duration such as 5s, 500ms or PT5S',
  after: `position tokens, parted by commas, at most ${mostTokens}: one that an answer gave, at:<topic>-<partition>-<offset>, or lsn:<source>:<lsn>`,
  consistency: 'eventual or strong',
  onStale: 'serve, wait or fail',
  wait: `a duration of at most ${longestWaitMs / 1_000}s, such as 500ms or 2s`,
}

/** What is wrong is shown as it came, as far as it can be read: who wrote it knows it. */
const shown = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
const malformed = (name: string, word: Word, text: string, why = ''): Error =>
  refusal('BAD_USER_INPUT', `${name} is ${shown(text)}${why}; allowed is ${allowed[word]}.`)

const readTexts = (texts: Texts, nameOf: (word: Word) => string, key: Buffer): Ask => {
  const ask: { -readonly [K in keyof Ask]: Ask[K] } = {}
  const chosen = <Choice extends string>(word: Word, choices: readonly Choice[]): Choice | undefined => {
    const text = texts[word]
    if (text === undefined) return undefined
    const found = choices.find((one) => one === text.trim().toUpperCase())
    if (found === undefined) throw malformed(nameOf(word), word, text)
    return found
  }
  const span = (word: Word): number | undefined => {
    const text = texts[word]
    if (text === undefined) return undefined
    const ms = spanMs(text.trim())
    if (ms === undefined) throw malformed(nameOf(word), word, text)
    return ms
  }
  const staleness = span('maxStaleness')
  if (staleness !== undefined) ask.maxStalenessMs = staleness
  const wait = span('wait')
  if (wait !== undefined && wait > longestWaitMs) throw malformed(nameOf('wait'), 'wait', texts.wait!)
  if (wait !== undefined) ask.waitMs = wait
  const consistency = chosen('consistency', ['EVENTUAL', 'STRONG'])
  if (consistency !== undefined) ask.strong = consistency === 'STRONG'
  const onStale = chosen('onStale', ['SERVE', 'WAIT', 'FAIL'])
  if (onStale !== undefined) ask.onStale = onStale
  if (texts.after !== undefined) Object.assign(ask, readAfter(texts.after, nameOf('after'), key))
  return ask
}

const readAfter = (text: string, name: string, key: Buffer): Pick<Ask, 'after' | 'readAt'> => {
  const tokens = text.split(',').map((one) => one.trim())
  if (tokens.length > mostTokens) throw malformed(name, 'after', text)
  const read = tokens.map((token) => {
    const found = readToken(token, key)
    if (!found.ok) throw malformed(name, 'after', token, `, which ${found.why}`)
    return found
  })
  const readAt = Math.max(...read.map((one) => one.readAt ?? 0))
  return { after: read.flatMap(({ required }) => required), ...(readAt > 0 ? { readAt } : {}) }
}

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/** Whether a request asks anything by its headers, without reading what. */
export const asksByHeader = (headers: Headers): boolean => {
  for (const word of words) if (headers[headerNames[word]] !== undefined) return true
  return false
}

const nothing: Ask = {}
/** `key`: of our own tokens. Throws BAD_USER_INPUT, which names the header, its value, and what is allowed. */
export const askedByHeaders = (headers: Headers, key: Buffer): Ask => {
  if (!asksByHeader(headers)) return nothing
  const texts: Partial<Record<Word, string>> = {}
  for (const word of words) {
    const value = headers[headerNames[word]]
    if (value !== undefined) texts[word] = typeof value === 'string' ? value : value.join(', ')
  }
  return readTexts(texts, (word) => `The header ${titled(headerNames[word])}`, key)
}
const titled = (name: string): string => name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase())

/** The same of what `@fresh` says. Null counts as absent. */
export const askedByArguments = (given: Readonly<Record<string, unknown>>, key: Buffer): Ask => {
  const texts: Partial<Record<Word, string>> = {}
  for (const word of words) if (given[word] != null) texts[word] = String(given[word])
  return readTexts(texts, (word) => `@fresh(${word}:)`, key)
}

const strictness: readonly OnStale[] = ['SERVE', 'WAIT', 'FAIL']
const least = (one: number | undefined, other: number | undefined): number | undefined =>
  one === undefined ? other : other === undefined ? one : Math.min(one, other)

/** The stricter of two in everything. */
export const stricter = (one: Ask, other: Ask): Ask => {
  const maxStalenessMs = least(one.maxStalenessMs, other.maxStalenessMs)
  const waitMs = least(one.waitMs, other.waitMs)
  const after = [...(one.after ?? []), ...(other.after ?? [])]
  const readAt = Math.max(one.readAt ?? 0, other.readAt ?? 0)
  const onStale =
    strictness[Math.max(...[one, other].map((ask) => (ask.onStale ? strictness.indexOf(ask.onStale) : -1)))]
  const known = one.strong !== undefined || other.strong !== undefined
  return {
    ...(maxStalenessMs === undefined ? {} : { maxStalenessMs }),
    ...(waitMs === undefined ? {} : { waitMs }),
    ...(after.length === 0 ? {} : { after }),
    ...(readAt === 0 ? {} : { readAt }),
    ...(onStale === undefined ? {} : { onStale }),
    ...(known ? { strong: one.strong === true || other.strong === true } : {}),
  }
}

/**
 * An Ask of a request that arrived, with what it leaves out filled in: WAIT for 2 s; and where it says what to do when an answer is stale, but not
 * what that is, each view's own promise (`maxLag`).
 */
export type Asked = {
  /** Upper bound of the primary's clock when the request arrived, in milliseconds. */
  readonly arrived: number
  /** PROMISED: as each view promises. Null: any. */
  readonly maxStalenessMs: number | 'PROMISED' | null
  readonly after: readonly Required[]
  /** Who has read from the primary then may be answered from nothing that could be older; null: from anything. */
  readonly readAt: number | null
  readonly strong: boolean
  readonly onStale: OnStale
  readonly waitMs: number
}

/** Undefined where nothing is asked. */
export const askedAt = (ask: Ask, arrived: number): Asked | undefined => {
  const { maxStalenessMs, after = [], readAt = null, strong = false, onStale, waitMs } = ask
  const bound = maxStalenessMs !== undefined || after.length > 0 || strong
  if (!bound && onStale === undefined && waitMs === undefined) return undefined
  return {
    arrived,
    maxStalenessMs: maxStalenessMs ?? (bound ? null : 'PROMISED'),
    after,
    readAt,
    strong,
    onStale: onStale ?? 'WAIT',
    waitMs: waitMs ?? usualWaitMs,
  }
}
