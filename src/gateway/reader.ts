/**
 * fetch and mask, for one request: keys of a tick go out as one statement per view, every statement carries the reader's tenant
 * and row rules, and every row is masked before anything else sees it.
 */
import { createHash } from 'node:crypto'
import DataLoader from 'dataloader'
import type { Field, OrderBy, View, Where } from '../model/model.ts'
import { codeOf, isRetriable, type Sql } from '../platform/postgres.ts'
import { countLimit, type Page, type PageRequest, type Reader, type ViewRow } from './context.ts'
import { fieldError } from './errors.ts'
import type { ViewBasis, ViewFreshness } from './freshness.ts'
import { parseRow } from './json-exact.ts'
import { countStatement, pageStatement } from './page-sql.ts'
import { type Claims, classConditions, tenantOf } from './predicate.ts'
import type { Projector } from './project.ts'
import type { RowCache } from './row-cache.ts'
import { byKeysStatement, lookupStatement, type Reading, type Statement, type StoredRow } from './row-sql.ts'
import { type Keys, seal, unseal } from './secret.ts'
import type { Verdict, ViewVerdict } from './verdict.ts'

export type ReaderParts = {
  readonly sql: Sql
  readonly bases: ReadonlyMap<string, ViewBasis>
  readonly project: (verdict: ViewVerdict) => Projector
  readonly keys: Keys
  readonly cache: RowCache | undefined
  /** Called for each statement: tests compare them. */
  readonly watch?: (statement: Statement) => void
  /** Called for each read that a missing tenant claim left without rows. */
  readonly tenantless: (view: string) => void
}
export type ReaderRequest = {
  readonly verdict: Verdict
  readonly claims: Claims
  /** The view fields that the operation selects. */
  readonly columns: (view: string) => ReadonlySet<string>
  /** Throws UNAVAILABLE where nothing keeps the view. */
  readonly freshness: (view: string) => ViewFreshness
  /** Called for each row that is older than the snapshot. */
  readonly older: (view: string, asOf: number) => void
}

/** What Postgres refused or could not do, as the caller may hear it. */
const asFieldError = (error: unknown): unknown => {
  if (codeOf(error) === '57014')
    return fieldError('TOO_COSTLY', 'This took too long and was stopped. Ask for less, or by key.')
  if (codeOf(error) === '42P01') return fieldError('UNAVAILABLE', 'This view is being replaced. Try again shortly.')
  return isRetriable(error)
    ? fieldError('UNAVAILABLE', 'The store cannot be reached at the moment. Try again shortly.')
    : error
}

export const createReader = (parts: ReaderParts, request: ReaderRequest): Reader => {
  const run = async <Row extends object>(statement: Statement, prepare: boolean): Promise<readonly Row[]> => {
    parts.watch?.(statement)
    try {
      return await parts.sql.unsafe<Row[]>(statement.text, [...statement.values], { prepare })
    } catch (error) {
      throw asFieldError(error)
    }
  }

  /** Undefined where the reader may see nothing at all. */
  const open = (view: View) => {
    const basis = parts.bases.get(view.name)
    const verdict = request.verdict.views.get(view.name)
    if (!basis || !verdict) return undefined
    const { table } = basis
    const tenant = tenantOf(table, request.claims)
    if (tenant === undefined) {
      parts.tenantless(view.name)
      return undefined
    }
    const reading: Reading = {
      table,
      tenant,
      fields: request.columns(view.name),
      bounded: verdict.classes.every(({ rules }) => rules.length > 0),
      classes: (binder) => classConditions(verdict, request.claims, binder),
    }
    const project = parts.project(verdict)
    const { asOf } = request.freshness(view.name)
    const finish = (row: StoredRow, at: number | null = asOf): ViewRow => {
      const fields = parseRow(row.fields)
      project(fields, row.classes, tenant ?? '')
      return {
        view: view.name,
        key: JSON.parse(row.key) as (string | null)[],
        fields,
        incomplete: row.incomplete,
        asOf: at,
      }
    }
    return { reading, verdict, tenant, basis, asOf, finish }
  }
  type Opened = NonNullable<ReturnType<typeof open>>

  const fetchKeys = async (view: View, keys: readonly (readonly (string | null)[])[]): Promise<(ViewRow | null)[]> => {
    const opened = open(view)
    if (!opened) return keys.map(() => null)
    const cached = await fromCache(opened, keys)
    const missing = keys.flatMap((key, i) => (cached?.rows[i] ? [] : [{ key, i }]))
    const rows: (ViewRow | null)[] = keys.map((_, i) => {
      const hit = cached?.rows[i]
      if (!hit) return null
      request.older(view.name, hit.asOf)
      return opened.finish(hit.row, hit.asOf)
    })
    if (missing.length === 0) return rows
    const fields = cached ? new Set(opened.basis.view.fields.map(({ name }) => name)) : opened.reading.fields
    const found = await run<StoredRow & { position: number }>(
      byKeysStatement(
        { ...opened.reading, fields },
        missing.map(({ key }) => key),
      ),
      true,
    )
    for (const row of found) {
      rows[missing[row.position - 1]!.i] = opened.finish(row)
      if (opened.asOf !== null) cached?.fill(row, opened.asOf)
    }
    return rows
  }

  /** Only rows that no row rule touches are shared between readers; undefined: no cache for this reader. */
  const fromCache = async ({ verdict, tenant, basis, asOf }: Opened, keys: readonly (readonly (string | null)[])[]) => {
    const { cache } = parts
    if (!cache || verdict.classes.some(({ rules }) => rules.length > 0)) return undefined
    const scope = { hash: basis.table.hash, tenant, maxLagMs: basis.view.maxLagMs }
    return {
      rows: asOf === null ? [] : await cache.get(scope, keys),
      fill: (row: StoredRow, at: number) => cache.fill(scope, row, at),
    }
  }

  const loaders = new Map<string, DataLoader<readonly (string | null)[], ViewRow | null, string>>()
  const loaderOf = (view: View) => {
    const known = loaders.get(view.name)
    if (known) return known
    const made = new DataLoader<readonly (string | null)[], ViewRow | null, string>((keys) => fetchKeys(view, keys), {
      cacheKeyFn: (key) => JSON.stringify(key),
      maxBatchSize: 1_000,
    })
    loaders.set(view.name, made)
    return made
  }

  const page = async (view: View, asked: PageRequest): Promise<Page> => {
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
    const found = await run<StoredRow & { place: string }>(
      pageStatement(opened.reading, { ...asked, view, from }),
      false,
    )
    const rows = found.slice(0, asked.limit).map((row) => ({
      row: opened.finish(row),
      cursor: seal(row.place, context, parts.keys.cursor),
    }))
    return { rows: asked.backward ? rows.reverse() : rows, more: found.length > asked.limit }
  }

  return {
    byKey: async (view, key) => await loaderOf(view).load(key),
    byLookup: async (view, name, value) => {
      const opened = open(view)
      const field = view.fields.find((candidate) => candidate.name === name)
      if (!opened || !field) return null
      const [first, second] = await run<StoredRow>(lookupStatement(opened.reading, field, String(value)), true)
      if (second) throw fieldError('BAD_USER_INPUT', ambiguous(view, field))
      return first ? opened.finish(first) : null
    },
    page,
    count: async (view, where) => {
      const opened = open(view)
      if (!opened) return 0
      const [row] = await run<{ count: number }>(countStatement(opened.reading, view, where, countLimit + 1), false)
      return row?.count ?? 0
    },
  }
}

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
