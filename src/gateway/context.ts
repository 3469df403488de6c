/** What one request carries from step to step. */
import type { ExecutionResult, GraphQLFieldConfig } from 'graphql'
import type { OrderBy, Where } from '../model/condition.ts'
import type { View } from '../model/model.ts'
import type { Identity } from './access/auth.ts'
import type { Verdict } from './access/verdict.ts'
import type { Keeping } from './answer-cache/keeping.ts'
import type { ViewFreshness } from './freshness/freshness.ts'
import type { Served } from './freshness/serving.ts'
import type { Status } from './freshness/status.ts'
import type { Plan } from './plan.ts'
import type { Fields } from './read/project.ts'
import type { Variables } from './variables.ts'

/** One row as its reader may see it. `key`: the JSON of its values' texts, in the order of ViewTable.key. `asOf`: milliseconds; null: no bound. */
export type ViewRow = {
  readonly view: string
  readonly key: string
  readonly fields: Fields
  readonly incomplete: boolean
  /** Something that it depends on is in quarantine, or it could not be recomputed. */
  readonly degraded: boolean
  /** Of views grouped by time. */
  readonly bucket?: BucketState
  readonly asOf: number | null
}
/** FINAL: late data beyond what was allowed for would still correct it. */
export type BucketState = 'PRELIMINARY' | 'FINAL'
export type PageRequest = {
  readonly where: Where | undefined
  readonly orderBy: readonly OrderBy[]
  readonly limit: number
  readonly backward: boolean
  /** A sealed cursor: rows strictly beyond it, in the page's direction. */
  readonly from: string | undefined
}
export type Page = {
  readonly rows: readonly { readonly row: ViewRow; readonly cursor: string }[]
  readonly more: boolean
}
/** Reads rows for one request: every statement carries the reader's tenant and row rules, every row is masked. */
export type Reader = {
  byKey(view: View, key: readonly (string | null)[]): Promise<ViewRow | null>
  byLookup(view: View, field: string, value: unknown): Promise<ViewRow | null>
  page(view: View, request: PageRequest): Promise<Page>
  count(view: View, where: Where | undefined): Promise<Count>
}
/** Exact up to `countLimit`. */
export type Count = { readonly rows: number; readonly estimated: boolean }
export const countLimit = 10_000

export type Context = {
  readonly identity: Identity
  readonly verdict: Verdict
  readonly requestId: string
  /** Told once what the operation asks for, before anything is read. */
  readonly planned: (plan: Plan) => void
  /** See Plan.personal; what is not planned may be. */
  readonly personal: () => boolean
  /** What a view is answered from. */
  readonly served: (view: string) => Served | undefined
  /** Throws UNAVAILABLE where nothing keeps the view. */
  readonly freshness: (view: string) => ViewFreshness
  /** Told of rows that are older than what `freshness` says. */
  readonly older: (view: string, asOf: number) => void
  /**
   * wait: until what the operation is about is as fresh as it and the request's headers ask; at once where there is nothing to wait for. Throws and
   * rejects with what refuses the operation, the second time as the first.
   */
  readonly wait: (variables: Variables) => Promise<Reader> | Reader
  /** False where the answer is older than asked, since that was to be served; undefined where nothing was asked. */
  readonly met: () => boolean | undefined
  readonly status: () => Promise<Status>
  /** Where the request may be answered from finished answers, or its own be kept: it asks nothing of freshness, and was asked before. */
  readonly keeping?: Keeping
  /** What was planned. Throws before. */
  readonly plan: () => Plan
  /** The upper bound of the primary's clock. */
  readonly now: () => number
  /** Set once it has been waited for what the operation asks. */
  reader?: Reader
  /** Set where the operation was executed and Apollo Server must say how it went. */
  result?: ExecutionResult
  /** Views whose rows the answer speaks of. */
  readonly touched: Set<string>
}

export type Arguments = Readonly<Record<string, unknown>>
export type FieldConfig = GraphQLFieldConfig<unknown, Context, Arguments>

/** The request's reader, for rows of a view that the answer will speak of. */
export const readerOf = (context: Context, view: string): Reader => {
  context.touched.add(view)
  if (!context.reader) throw new Error('no reader: the operation was not planned')
  return context.reader
}
