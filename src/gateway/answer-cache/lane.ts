/**
 * The lane before everything: a request that comes again to the letter, from an identity that is still believed, to which a kept answer still is the
 * answer, gets it without being parsed, planned or executed. What is looked at each time is what may have changed: whether the token is
 * still believed, whether the answer still stands, and what is to be said of its freshness.
 *
 * The key holds all that the answer depends on of a request; a request that asks anything else (freshness, above all) isn't for the lane.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { LRUCache } from 'lru-cache'
import type { Ready } from '../../platform/http-express.ts'
import { tally } from '../../platform/metrics.ts'
import type { Identity } from '../access/auth.ts'
import { asksByHeader } from '../freshness/asked.ts'
import type { GraphqlAnswer } from '../steps.ts'
import type { Saying } from './about.ts'
import type { Answer, Answers } from './answers.ts'

export type LaneRequest = {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
}
/** `text`: what is asked, whoever asks it. `identity`: undefined where it isn't known yet. */
export type Passage = { readonly text: string; readonly head: string; readonly identity: Identity | undefined }
export type Lane = {
  /** Undefined where the request is none for it. `body`: of a POST. */
  passage(request: LaneRequest, body: Buffer | undefined): Passage | undefined
  find(passage: Passage): Ready | undefined
  /** Whether what is asked was asked before, lately: only then is it worth keeping. */
  isHot(passage: Passage): boolean
  learn(passage: Passage, identity: Identity, given: GraphqlAnswer): void
}

type Entry = { readonly answer: Answer; readonly headers: readonly string[] }

const mostBytes = 8 * 2 ** 20
const longest = 8_192
/** What was asked before is remembered for so many requests, and for as many again. */
const remembered = 1_024

const reads = tally(
  {
    name: 'forebay_answer_cache_reads_total',
    help: 'Requests answered from finished answers, or not.',
    label: 'result',
  },
  ['hit', 'miss'],
)

/** Headers of an answer that are said anew each time. */
const isSaid = (name: string): boolean => name.startsWith('forebay-')

/** `known`: who sends this Authorization, while that is believed without being verified again. */
export const createLane = (
  known: (authorization: string) => Identity | undefined,
  answers: Answers,
  saying: Saying,
): Lane => {
  const entries = new LRUCache<string, Entry>({
    maxSize: mostBytes,
    sizeCalculation: ({ headers }, name) => 200 + name.length + 50 * headers.length,
  })
  const numbers = new WeakMap<Identity, number>()
  let numbered = 0
  const numberOf = (identity: Identity): number => {
    const found = numbers.get(identity)
    if (found !== undefined) return found
    numbered += 1
    numbers.set(identity, numbered)
    return numbered
  }
  let [recent, before] = [new Set<string>(), new Set<string>()]
  const nameOf = ({ head, text }: Passage, identity: Identity): string => `${numberOf(identity)} ${head}\n${text}`

  return {
    passage: ({ method, url = '', headers }, body) => {
      const { authorization, accept = '' } = headers
      if (authorization === undefined || asksByHeader(headers)) return undefined
      const identity = known(authorization)
      if (method === 'POST') {
        if (body === undefined || body.length > longest || url !== '/graphql') return undefined
        return { text: body.toString('latin1'), head: `POST ${headers['content-type']}\n${accept}`, identity }
      }
      if (method !== 'GET' || url.length > longest) return undefined
      return { text: url, head: `GET ${accept}`, identity }
    },
    find: (passage) => {
      const { identity } = passage
      if (identity === undefined) return undefined
      const name = nameOf(passage, identity)
      const entry = entries.get(name)
      if (entry === undefined) return undefined
      const { answer } = entry
      if (!answers.stands(answer)) {
        entries.delete(name)
        return undefined
      }
      const said = saying(answer.about)
      if (said === undefined) return undefined
      reads.hit.count += 1
      return { headers: [...entry.headers, ...said.flat], bytes: answer.bytes + said.tail }
    },
    isHot: ({ text }) => {
      reads.miss.count += 1
      const hot = recent.has(text) || before.has(text)
      recent.add(text)
      if (recent.size >= remembered) {
        before = recent
        recent = new Set()
      }
      return hot
    },
    learn: (passage, identity, { kept, headers }) => {
      if (kept === undefined) return
      const cacheControl = headers.some(([name]) => name === 'cache-control') ? [] : ['cache-control', 'no-store']
      const own = headers.filter(([name]) => !isSaid(name)).flat()
      entries.set(nameOf(passage, identity), { answer: kept, headers: [...cacheControl, ...own] })
    },
  }
}
