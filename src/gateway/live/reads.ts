/** What an answer was made of, and so when it is to be made anew: rows by key, and whole views where it was looked for in them. */
import type { ViewTable } from '../../model/view-table.ts'
import type { KeyHash } from '../../platform/key-hash.ts'
import type { Claims } from '../access/predicate.ts'
import { tenantOf } from '../access/predicate.ts'
import type { Reader } from '../context.ts'

export type Reads = {
  /** Views of which it holds anything. */
  readonly views: Set<string>
  /** Names of rows, as the change feed has them. */
  readonly rows: Set<string>
  /** Views of which any row may come into it. */
  readonly whole: Set<string>
  /** It changes as time goes by. */
  rolling: boolean
}
export const noReads = (): Reads => ({ views: new Set(), rows: new Set(), whole: new Set(), rolling: false })

export type Watched = {
  readonly reads: Reads
  readonly names: KeyHash
  readonly claims: Claims
  readonly tableOf: (view: string) => ViewTable | undefined
}

/** The same reader, which notes what is asked of it. */
export const noting = (reader: Reader, { reads, names, claims, tableOf }: Watched): Reader => {
  const look = (view: string): ViewTable | undefined => {
    const table = tableOf(view)
    reads.views.add(view)
    if (table && table.rolling.length > 0) reads.rolling = true
    return table
  }
  const whole = (view: string): void => {
    look(view)
    reads.whole.add(view)
  }
  const row = (view: string, key: readonly (string | null)[]): void => {
    const table = look(view)
    const tenant = table && tenantOf(table, claims)
    if (!table) reads.whole.add(view)
    else if (tenant !== undefined) reads.rows.add(names.row(table.hash, tenant, key))
  }
  return {
    byKey: (view, key) => {
      row(view.name, key)
      return reader.byKey(view, key)
    },
    byLookup: (view, field, value) => {
      whole(view.name)
      return reader.byLookup(view, field, value)
    },
    page: (view, request) => {
      whole(view.name)
      return reader.page(view, request)
    },
    count: (view, where) => {
      whole(view.name)
      return reader.count(view, where)
    },
  }
}
