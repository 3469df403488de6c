/** fetch and mask, for one request: every statement carries the reader's tenant and row rules, every row is masked before it is seen. */
import { createHash } from 'node:crypto'
import type { Field, OrderBy, View, Where } from '../../model/model.ts'
import { fieldsOf } from '../../model/reads.ts'
import type { RowKey } from '../../platform/row-cache.ts'
import { type Claims, classConditions, tenantOf } from '../access/predicate.ts'
import { type Keys, seal, unseal } from '../access/secret.ts'
import type { Verdict, ViewVerdict } from '../access/verdict.ts'
import { type BucketState, countLimit, type Page, type PageRequest, type Reader, type ViewRow } from '../context.ts'
import { fieldError } from '../errors.ts'
import type { Sequences } from '../feed/sequences.ts'
import type { ViewFreshness } from '../freshness/freshness.ts'
import type { Served } from '../freshness/serving.ts'
import { rebuilding } from '../rebuilding.ts'
import { parseRow } from './json-exact.ts'
import { countStatement, pageStatement } from './page-sql.ts'
import type { Projector } from './project.ts'
import { readRows } from './rolling.ts'
import type { RowLoads } from './row-loads.ts'
import { lookupStatement, type Reading, type StoredRow } from './row-sql.ts'
import type { Run } from './statements.ts'

export type ReaderParts = {
  readonly run: Run
  readonly loads: RowLoads
  readonly project: (verdict: ViewVerdict) => Projector
  readonly keys: Keys
  /** Called for each read that a missing tenant claim left without rows. */
  readonly tenantless: (view: string) => void
}
export type ReaderRequest = {
  /** What a view is answered from. */
  readonly served: (view: string) => Served | undefined
  readonly verdict: Verdict
  readonly claims: Claims
  /** The view fields that the operation selects. */
  readonly columns: (view: string) => ReadonlySet<string>
  /** Throws UNAVAILABLE where nothing keeps the view. */
  readonly freshness: (view: string) => ViewFreshness
  /** Called for each row that is older than the snapshot. */
  readonly older: (view: string, asOf: number) => void
  /** How fresh what is not read now must be; see satisfies.ts. */
  readonly floor: (view: string) => number | null
  /** How far the change feeds are in the snapshot; undefined where only rows that are read now will do. */
  readonly feeds: () => Sequences | undefined
}

export const createReader = (parts: ReaderParts, request: ReaderRequest): Reader => {
  const { run } = parts

  /** Undefined where the reader may see nothing at all. */
  const open = (view: View) => {
    const served = request.served(view.name)
    const basis = served?.basis
    const verdict = request.verdict.views.get(view.name)
    if (!served || !basis || !verdict) return undefined
    const { table } = basis
    const tenant = tenantOf(table, request.claims)
    if (tenant === undefined) {
      parts.tenantless(view.name)
      return undefined
    }
    const { asOf, rowAsOf, held, basis: about } = request.freshness(view.name)
    const reading: Reading = {
      table,
      held,
      tenant,
      fields: request.columns(view.name),
      bounded: verdict.classes.every(({ rules }) => rules.length > 0),
      classes: (binder) => classConditions(verdict, request.claims, binder),
    }
    const project = parts.project(verdict)
    const finish = (row: StoredRow, at: number | null = asOf): ViewRow => {
      const fields = parseRow(row.fields)
      for (const [name, fault] of row.faults ?? []) fields[name] = fault
      project(fields, row.classes, tenant ?? '')
      const degraded = row.degraded ?? held === 'every'
      return {
        view: view.name,
        key: row.key,
        fields,
        incomplete: row.incomplete,
        degraded,
        ...(table.finalAt && { bucket: bucketState(row.finalAt ?? null, degraded ? null : at) }),
        asOf: at,
      }
    }
    return { reading, verdict, tenant, served, about, rowAsOf, finish }
  }

  /** What conditions and orders look at must be there, and by index. */
  const searches = (view: View, searched: readonly string[]): void => {
    const refused = rebuilding(request.served(view.name), { view: view.name, fields: [], searched })
    if (refused) throw refused
  }

  const own = new Map<string, ReturnType<RowLoads['own']>>()
  const byKey = async (view: View, key: RowKey): Promise<ViewRow | null> => {
    const opened = open(view)
    if (!opened) return null
    const { verdict, reading, served, about, rowAsOf } = opened
    const unruled = verdict.classes.every(({ rules }) => rules.length === 0)
    const loader = unruled
      ? parts.loads.shared(served, about, reading)
      : (own.get(view.name) ?? parts.loads.own(reading))
    if (!unruled) own.set(view.name, loader)
    const found = await loader.load({ key, asOf: rowAsOf, floor: request.floor(view.name), feeds: request.feeds() })
    if (!found) return null
    if (found.asOf !== undefined) request.older(view.name, found.asOf)
    return opened.finish(found.row, found.asOf)
  }

  const page = async (view: View, asked: PageRequest): Promise<Page> => {
    searches(view, [...(asked.where ? fieldsOf(asked.where) : []), ...asked.orderBy.map(({ field }) => field)])
    const opened = open(view)
    const context = cursorContext(view, opened?.tenant ?? null, asked.where, asked.orderBy)
    const opening = asked.from === undefined ? undefined : unseal(asked.from, context, parts.keys.cursor)
    if (asked.from !== undefined && opening === undefined) {
      throw fieldError(
        'BAD_USER_INPUT',
        `This cursor is not one of ${view.name} in this order and under this where. Start again without it.`,
      )
    }
    if (!opened || asked.limit === 0) return { rows: [], more: false }
    const from = opening === undefined ? undefined : (JSON.parse(opening) as (string | null)[])
    const { reading } = opened
    type Found = StoredRow & { place: string }
    const found = await readRows<Found>(run, reading, (one) => pageStatement(one, { ...asked, view, from }), false)
    const rows = found.slice(0, asked.limit).map((row) => ({
      row: opened.finish(row),
      cursor: seal(row.place, context, parts.keys.cursor),
    }))
    return { rows: asked.backward ? rows.reverse() : rows, more: found.length > asked.limit }
  }

  return {
    byKey,
    byLookup: async (view, name, value) => {
      searches(view, [name])
      const opened = open(view)
      const field = view.fields.find((candidate) => candidate.name === name)
      if (!opened || !field) return null
      const { reading } = opened
      const statementOf = (one: Reading) => lookupStatement(one, field, String(value))
      const [first, second] = await readRows<StoredRow>(run, reading, statementOf, true)
      if (second) throw fieldError('BAD_USER_INPUT', ambiguous(view, field))
      return first ? opened.finish(first) : null
    },
    page,
    count: async (view, where) => {
      if (where) searches(view, fieldsOf(where))
      const opened = open(view)
      if (!opened) return 0
      const [row] = await run<{ count: number }>(countStatement(opened.reading, view, where, countLimit + 1), false)
      return row?.count ?? 0
    },
  }
}

/** Whatever was in the sources' logs by the end of the bucket and its lateness is in the row, none of it in quarantine. */
const bucketState = (finalAt: number | null, asOf: number | null): BucketState =>
  finalAt !== null && asOf !== null && finalAt < asOf ? 'FINAL' : 'PRELIMINARY'

const ambiguous = (view: View, field: Field): string =>
  `Several rows of ${view.name} have this ${field.name}. Ask by key instead.`

/** A cursor opens only where it was made: same view, tenant, condition and order. */
const cursorContext = (
  view: View,
  tenant: string | null,
  where: Where | undefined,
  orderBy: readonly OrderBy[],
): string =>
  createHash('sha256')
    .update(JSON.stringify([view.name, tenant, where ?? null, orderBy]))
    .digest('base64url')
