/** One request, opened: which server it reads from, how fresh that is, what it may see. */
import type { RequestContext } from '../platform/http.ts'
import type { KeyHash } from '../platform/key-hash.ts'
import { present } from '../platform/present.ts'
import type { Identity } from './access/auth.ts'
import type { Keys } from './access/secret.ts'
import type { Verdict } from './access/verdict.ts'
import type { AnswerCache } from './answer-cache/answer-cache.ts'
import type { Context, Reader } from './context.ts'
import { refusal } from './errors.ts'
import { askedByHeaders, stricter } from './freshness/asked.ts'
import type { Shown } from './freshness/freshness.ts'
import type { openStands } from './freshness/stand.ts'
import type { Status } from './freshness/status.ts'
import type { Seen } from './freshness/watch.ts'
import { noting, type Reads } from './live/reads.ts'
import type { Plan } from './plan.ts'
import { createReader, type ReaderParts } from './read/reader.ts'
import { rebuilding } from './rebuilding.ts'
import type { GraphqlRequest } from './steps.ts'

/** Who asks. `gone`: aborted when it is; made where somebody looks. `reads`: what is read is noted there, and is read now, from the primary. */
export type Asker = {
  readonly headers: GraphqlRequest['headers']
  readonly requestId: string
  readonly gone: AbortSignal
  /** It is asked for often, so that its answer may be kept. */
  readonly hot: boolean
  readonly reads?: Reads
}
const stays = new AbortController().signal
/** For those who follow an answer, whoever they are by then. */
export const followerOf = (
  { headers }: GraphqlRequest,
  watched: { readonly reads: Reads; readonly requestId: string } | undefined,
): Asker => ({
  headers,
  requestId: watched?.requestId ?? '',
  gone: stays,
  hot: false,
  ...(watched && { reads: watched.reads }),
})
/** Of a request over HTTP. */
export const askerOf = (context: RequestContext, hot: boolean): Asker => ({
  headers: context.request.headers,
  requestId: context.requestId,
  hot,
  get gone() {
    return context.gone
  },
})

export type OpenParts = {
  readonly stands: ReturnType<typeof openStands<ReaderParts>>
  readonly answers: Pick<AnswerCache, 'keepings'>
  readonly keys: Keys
  readonly verdictOf: (identity: Identity) => Verdict
  readonly names: KeyHash
  /** Upper bound of the primary's clock. */
  readonly now: () => number
  readonly status: (snapshot: Seen) => Promise<Status>
}

/** The snapshot is taken before any row is read, so what it says holds for all of them. */
export const createOpen =
  ({ stands, answers, keys, verdictOf, names, now, status }: OpenParts) =>
  (identity: Identity, asker: Asker): Context => {
    const { headers, requestId, reads } = asker
    const asked = askedByHeaders(headers, keys.position)
    let plan: Plan | undefined
    let waiting: Promise<Reader> | undefined
    /** The fields that the answer is about, where rows are read by key and no rule looks at others (C22). */
    const shown = (view: string): Shown => {
      const classes = verdictOf(identity).views.get(view)?.classes
      const unruled = classes?.every(({ rules }) => rules.length === 0)
      return unruled && plan && !plan.whole.has(view) ? plan.columns.get(view) : undefined
    }
    const gone = (left: () => void): (() => void) => {
      asker.gone.addEventListener('abort', left, { once: true })
      return () => asker.gone.removeEventListener('abort', left)
    }
    const stand = stands({ shown, gone, now: reads !== undefined })
    const { freshness, served, older, floor } = stand
    const verdict = verdictOf(identity)
    const { claims } = identity
    const keeping = asker.hot
      ? answers.keepings({ verdict, claims, served, feeds: () => stand.seen()?.feeds })
      : undefined
    /** Of what is served once it has been waited for. */
    const opened = ({ columns }: Plan): Reader => {
      for (const [view, fields] of columns) {
        freshness(view)
        const refused = rebuilding(served(view), { view, fields })
        if (refused) throw refused
      }
      const none: ReadonlySet<string> = new Set()
      const reader = createReader(stand.reads(), {
        verdict,
        claims,
        columns: (view) => columns.get(view) ?? none,
        served,
        freshness,
        older,
        floor,
        feeds: stand.feeds,
        snapshot: reads ? () => undefined : stand.seen,
        signal: () => asker.gone,
        trace: keeping?.trace,
      })
      return reads ? noting(reader, { reads, names, claims, tableOf: (view) => served(view)?.basis.table }) : reader
    }
    return {
      identity,
      requestId,
      verdict,
      planned: (made) => {
        plan = made
      },
      personal: () => plan?.personal ?? true,
      served,
      freshness,
      older,
      wait: (variables) => {
        const made = plan
        if (!made) throw new Error('what is not planned was waited for')
        if (waiting) return waiting
        const ask = made.fresh ? stricter(asked, made.fresh(variables, keys.position)) : asked
        waiting = stand.settle(ask, made.columns.keys())?.then(() => opened(made))
        return waiting ?? opened(made)
      },
      met: stand.met,
      ...present({ keeping }),
      plan: () => {
        if (!plan) throw new Error('what is not planned was asked for its plan')
        return plan
      },
      touched: new Set(),
      now,
      status: async () => {
        const snapshot = stand.seen()
        if (!snapshot) throw refusal('UNAVAILABLE', 'The store cannot be reached at the moment. Try again shortly.')
        return await status(snapshot)
      },
    }
  }
