/** What a reader is told at a given moment, beside what the oracle says: for views whose windows move on with no event. */
import { expect } from 'vitest'
import { byKeysStatement, type Reading } from '../../src/gateway/read/row-sql.ts'
import type { Model, View } from '../../src/model/model.ts'
import { compileView } from '../../src/model/sql/compile-view.ts'
import type { Sql } from '../../src/platform/postgres.ts'
import type { Draw } from './draw.ts'
import { viewRows } from './oracle.ts'
import { INSTANTS } from './row-arbitrary.ts'
import type { SourceRows } from './seen.ts'
import { instant, micros } from './values.ts'
import { isRolling } from './window.ts'

/** To either side of a row's time, or where a step or a window ends after it. */
const DISTANCES = [
  0n,
  1n,
  -1n,
  60_000_000n,
  3_600_000_000n - 1n,
  3_600_000_000n,
  86_400_000_000n,
  400n * 86_400_000_000n,
]

/** `position`: of the key that was asked for, from 1. `key`: the row's own, as JSON text. */
type Answer = { readonly position: number; readonly key: string; readonly fields: unknown }

/** A view's rows of these keys as a reader of the tenant gets them at the moment `now`. */
export const answersAt = async (
  sql: Sql,
  model: Model,
  view: View,
  asked: {
    readonly tenant: string | null
    readonly now: string
    readonly keys: readonly (readonly (string | null)[])[]
  },
): Promise<readonly Answer[]> => {
  const reading: Reading = {
    table: compileView(model, view).table,
    tenant: asked.tenant,
    held: 'none',
    bounded: false,
    classes: () => ['true'],
    fields: new Set(view.fields.map(({ name }) => name)),
    now: `timestamptz '${asked.now}'`,
  }
  const { text, values } = byKeysStatement(reading, asked.keys)
  const found = await sql.unsafe<{ position: string | number; key: string; fields: string }[]>(text, [...values])
  return found.map(({ position, key, fields }) => ({ position: Number(position), key, fields: JSON.parse(fields) }))
}

export const expectMoments = async (sql: Sql, model: Model, source: SourceRows, draw: Draw): Promise<void> => {
  for (const view of model.views.values()) {
    if (!view.fields.some((field) => isRolling(view.fields, field))) continue
    for (let left = 4; left > 0; left--) {
      const now = instant(micros(draw.pick(INSTANTS)) + draw.pick(DISTANCES))
      for (const [tenant, rows] of Map.groupBy(viewRows(model, view, source, now), (row) => row.tenant)) {
        const keys = rows.map(({ key }) => key.map((value) => (value === null ? null : String(value))))
        const found = await answersAt(sql, model, view, { tenant, now, keys })
        const answers = new Map(found.map(({ position, fields }) => [position, fields]))
        expect(answers, `${view.name} at ${now}`).toEqual(new Map(rows.map(({ values }, i) => [i + 1, values])))
      }
    }
  }
}
