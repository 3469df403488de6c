/** fetch and mask, for one request: every statement carries the reader's tenant and row rules, every row is masked before it is seen. */
import { createHash } from 'node:crypto'
import type { Field, View } from '../../model/model.ts'
import { fieldsOf } from '../../model/reads.ts'
import type { RowKey } from '../../platform/row-cache.ts'
import { type Claims, classConditions, ruleClaims, tenantOf } from '../access/predicate.ts'
import { type Keys, seal, unseal } from '../access/secret.ts'
import type { Verdict, ViewVerdict } from '../access/verdict.ts'
import type { Trace } from '../answer-cache/keeping.ts'
import { type BucketState, countLimit, type Page, type PageRequest, type Reader, type ViewRow } from '../context.ts'
import { fieldError } from '../errors.ts'
import type { Sequences } from '../feed/sequences.ts'
import type { ViewFreshness } from '../freshness/freshness.ts'
import type { Served } from '../freshness/serving.ts'
import { rebuilding } from '../rebuilding.ts'
import { parseRow } from './json-exact.ts'
import type { LookupLoads } from './lookup-loads.ts'
import { countStatement, estimateStatement, pageStatement, shareStatement } from './page-sql.ts'
import type { Projector } from './project.ts'
import { asksRolling, readRows } from './rolling.ts'
import type { RowLoads } from './row-loads.ts'
import type { Reading, StoredRow } from './row-sql.ts'
import type { Run } from './statements.ts'

export type ReaderParts = {
  readonly flights: (snapshot: object | undefined) => Run
  readonly loads: RowLoads
  readonly lookups: LookupLoads
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
  /** That by which freshness is told. */
  readonly snapshot: () => object | undefined
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: () => AbortSignal | undefined
  /** Told of all that is read, where the answer may be kept. */
  readonly trace: Trace | undefined
}

export const createReader = (parts: ReaderParts, request: ReaderRequest): Reader => {
  /** Of this request, shared with those that ask the very same at once. */
  const run: Run = (statement, prepare) => parts.flights(request.snapshot())(statement, prepare, request.signal())

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
    const unruled = verdict.classes.every(({ rules }) => rules.length === 0)
    return { reading, verdict, unruled, tenant, served, about, rowAsOf, finish }
  }

  /** What conditions and orders look at must be there, and by index. */
  const searches = (view: View, searched: readonly string[]): void => {
    const refused = rebuilding(request.served(view.name), { view: view.name, fields: [], searched })
    if (refused) throw refused
  }

  const own = new Map<string, ReturnType<RowLoads['own']>>()
  const byKey = async (view: View, key: RowKey): Promise<ViewRow | null> => {
    const opened = open(view)
    if (!opened) {
      request.trace?.other()
      return null
    }
    const { unruled, reading, served, about, rowAsOf, tenant } = opened
    const loader = unruled
      ? parts.loads.shared(served, about, reading)
      : (own.get(view.name) ?? parts.loads.own(reading))
    if (!unruled) own.set(view.name, loader)
    const found = await loader.load({ key, asOf: rowAsOf, floor: request.floor(view.name), feeds: request.feeds() })
    // What was older than the snapshot, moves with time, or stands in quarantine isn't what its key's next change alone would alter.
    if (!unruled || reading.held !== 'none' || found?.asOf !== undefined || asksRolling(reading)) request.trace?.other()
    else request.trace?.row(served, tenant, key, found?.row.key ?? null)
    if (!found) return null
    if (found.asOf !== undefined) request.older(view.name, found.asOf)
    return opened.finish(found.row, found.asOf)
  }

  const ownLookups = new Map<string, ReturnType<LookupLoads['own']>>()
  const lookupOf = ({ unruled, reading }: NonNullable<ReturnType<typeof open>>, field: Field) => {
    if (unruled) return parts.lookups.shared(reading, field)
    const name = `${reading.table.view}.${field.name}`
    const loader = ownLookups.get(name) ?? parts.lookups.own(reading, field)
    ownLookups.set(name, loader)
    return loader
  }

  const page = async (view: View, asked: PageRequest): Promise<Page> => {
    request.trace?.other()
    searches(view, [...(asked.where ? fieldsOf(asked.where) : []), ...asked.orderBy.map(({ field }) => field)])
    const opened = open(view)
    const claims = opened ? ruleClaims(opened.verdict, request.claims) : {}
    const context = cursorContext(view, request.verdict, opened?.tenant ?? null, claims, asked)
    const opening = asked.from === undefined ? undefined : unseal(asked.from, context, parts.keys.cursor)
    if (asked.from !== undefined && opening === undefined) {
      throw fieldError(
        'BAD_USER_INPUT',
        `This cursor is not one of ${view.name} for these roles, in this order and under this where. Start again without it.`,
      )
    }
    if (!opened || asked.limit === 0) return { rows: [], more: false }
    const from = opening === undefined ? undefined : (JSON.parse(opening) as (string | null)[])
    const { reading } = opened
    type Found = StoredRow & { place: string }
    const statementOf = (one: Reading) => pageStatement(one, { ...asked, view, from })
    // A plan for any value serves as well where only a place is given; conditions are worth one for their values.
    const found = await readRows<Found>(run, reading, statementOf, asked.where === undefined)
    const rows = found.slice(0, asked.limit).map((row) => ({
      row: opened.finish(row),
      /** Few are asked for. */
      get cursor() {
        return seal(row.place, context, parts.keys.cursor)
      },
    }))
    return { rows: asked.backward ? rows.reverse() : rows, more: found.length > asked.limit }
  }

  return {
    byKey,
    byLookup: async (view, name, value) => {
      request.trace?.other()
      searches(view, [name])
      const opened = open(view)
      const field = view.fields.find((candidate) => candidate.name === name)
      if (!opened || !field) return null
      const [first, second] = await lookupOf(opened, field).load(String(value))
      if (second) throw fieldError('BAD_USER_INPUT', ambiguous(view, field))
      return first ? opened.finish(first) : null
    },
    page,
    count: async (view, where) => {
      request.trace?.other()
      if (where) searches(view, fieldsOf(where))
      const opened = open(view)
      if (!opened) return { rows: 0, estimated: false }
      const { reading } = opened
      const [row] = await run<{ count: number }>(countStatement(reading, view, where, countLimit + 1), false)
      const counted = row!.count
      if (counted <= countLimit) return { rows: counted, estimated: false }
      const [share] = await run<{ share: string }>(shareStatement(reading), true)
      const [estimate] = await run<{ count: number }>(estimateStatement(reading, view, where, share!.share), false)
      const rows = Math.max(Number(estimate!.count.toPrecision(2)), counted)
      return { rows: Math.min(rows, 2 ** 31 - 1), estimated: true }
    },
  }
}

/** Whatever was in the sources' logs by the end of the bucket and its lateness is in the row, none of it in quarantine. */
const bucketState = (finalAt: number | null, asOf: number | null): BucketState =>
  finalAt !== null && asOf !== null && finalAt < asOf ? 'FINAL' : 'PRELIMINARY'

const ambiguous = (view: View, field: Field): string =>
  `Several rows of ${view.name} have this ${field.name}. Ask by key instead.`

/** A cursor opens only where it was made: same view, roles, tenant, claims that row rules look at, condition and order. */
const cursorContext = (
  view: View,
  verdict: Verdict,
  tenant: string | null,
  claims: Claims,
  { where, orderBy }: Pick<PageRequest, 'where' | 'orderBy'>,
): string =>
  createHash('sha256')
    .update(JSON.stringify([view.name, verdict.key, tenant, claims, where ?? null, orderBy]))
    .digest('base64url')
