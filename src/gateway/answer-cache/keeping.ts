/** What one request finds among kept answers, and what may be kept of its own. */
import { type DocumentNode, Kind, visit } from 'graphql'
import type { ViewTable } from '../../model/view-table.ts'
import type { RowKey } from '../../platform/row-cache.ts'
import { type Claims, tenantOf } from '../access/predicate.ts'
import type { Verdict } from '../access/verdict.ts'
import type { ChangeFeed } from '../feed/feed.ts'
import type { Sequences } from '../feed/sequences.ts'
import type { Served } from '../freshness/serving.ts'
import type { Plan } from '../plan.ts'
import { isExact } from '../read/near-cache.ts'
import type { Variables } from '../variables.ts'
import { type About, bytesOf, type Said, type Saying } from './about.ts'
import type { Answer, Answers } from './answers.ts'

/** Told by the reader what it reads. */
export type Trace = {
  /** By its full key; `found`: its own key as it is stored, null where there is no such row. */
  row(served: Served, tenant: string | null, key: RowKey, found: string | null): void
  /** Something else that the answer depends on: it can't be kept. */
  other(): void
}
export type Operation = {
  readonly query: string
  readonly operationName: string | undefined
  readonly variables: Variables
}
export type Found = { readonly answer: Answer; readonly said: Said }
export type Keeping = {
  readonly trace: Trace
  /** Once it is planned, and nothing was to be waited for. */
  find(operation: Operation, plan: Plan): Found | undefined
  /** The answer that was read instead, as JSON. */
  keep(data: string, touched: ReadonlySet<string>): Answer | undefined
}
export type KeepingRequest = {
  readonly verdict: Verdict
  readonly claims: Claims
  readonly served: (view: string) => Served | undefined
  /** Of the snapshot that the request stands on. */
  readonly feeds: () => Sequences | undefined
}

/** Fields that say what changes with no row. */
const momentary = new Set(['_freshness', '_bucket', 'forebay', 'node', '__schema', '__type'])
const isMomentary = (document: DocumentNode): boolean => {
  let found = false
  visit(document, {
    enter: (node) => {
      if (node.kind === Kind.FIELD && momentary.has(node.name.value)) found = true
    },
  })
  return found
}
const isUnruled = (verdict: Verdict, view: string): boolean =>
  verdict.views.get(view)?.classes.every(({ rules }) => rules.length === 0) === true

/** The same for objects that differ only in the order of their fields. */
const canonical = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))
  return fields.map(([name, inner]) => [name, canonical(inner)])
}

/** Of keys that a request may have, more than a page has aren't worth their index. */
const mostRows = 100

export const createKeepings = (answers: Answers, saying: Saying, feed: Pick<ChangeFeed, 'names' | 'drops'>) => {
  /** Answered wholly by key, of rows that every role of the verdict sees all of. */
  const keepable = new WeakMap<Plan, boolean>()
  const isKeepable = (plan: Plan, verdict: Verdict): boolean => {
    const known = keepable.get(plan)
    if (known !== undefined) return known
    const views = [...plan.columns.keys()]
    const made =
      views.length > 0 &&
      plan.whole.size === 0 &&
      plan.fresh === undefined &&
      views.every((view) => isUnruled(verdict, view)) &&
      !isMomentary(plan.document)
    keepable.set(plan, made)
    return made
  }
  const abouts = new WeakMap<Plan, Map<string, About>>()
  /** One for all answers of a plan that speak of the same, so that what is said of them is worked out once. */
  const aboutOf = (plan: Plan, views: readonly (readonly [string, number])[]): About => {
    const known = abouts.get(plan) ?? new Map<string, About>()
    abouts.set(plan, known)
    const name = JSON.stringify(views)
    const about =
      known.get(name) ??
      new Map(views.map(([view, generation]) => [view, { generation, shown: plan.columns.get(view) }]))
    known.set(name, about)
    return about
  }

  return ({ verdict, claims, served, feeds }: KeepingRequest): Keeping => {
    const drops = feed.drops()
    const rows = new Map<string, { readonly generation: number; readonly hash: string }>()
    let spoiled = false
    let asked: { readonly name: string; readonly plan: Plan } | undefined
    /** Tenants are all that an answer depends on of a token beside its verdict, where no row rule looks at claims. */
    const nameOf = ({ query, operationName, variables }: Operation, plan: Plan): string => {
      const tables = [...plan.columns.keys()].map((view) => served(view)?.basis.table)
      const tenants = tables.map((table?: ViewTable) => (table && tenantOf(table, claims)) ?? null)
      return JSON.stringify([verdict.key, tenants, query, operationName ?? null, canonical(variables)])
    }
    return {
      trace: {
        row: ({ generation, basis: { table } }, tenant, key, found) => {
          if (spoiled || (found === null && !isExact(table))) {
            spoiled = true
            return
          }
          const own = found === null ? key : (JSON.parse(found) as RowKey)
          const hash = feed.names.row(table.hash, tenant, own)
          rows.set(hash, { generation, hash })
          spoiled = rows.size > mostRows
        },
        other: () => {
          spoiled = true
        },
      },
      find: (operation, plan) => {
        if (!isKeepable(plan, verdict)) return undefined
        asked = { name: nameOf(operation, plan), plan }
        const answer = answers.find(asked.name)
        const said = answer && saying(answer.about)
        return said && { answer, said }
      },
      keep: (data, touched) => {
        const seen = feeds()
        if (spoiled || asked === undefined || seen === undefined) return undefined
        const views = [...touched].sort().map((view) => [view, served(view)?.generation ?? -1] as const)
        const answer: Answer = {
          about: aboutOf(asked.plan, views),
          bytes: bytesOf(`{"data":${data}`),
        }
        return answers.keep(asked.name, answer, { feeds: seen, drops, rows: [...rows.values()] })
      },
    }
  }
}
export type Keepings = ReturnType<typeof createKeepings>
