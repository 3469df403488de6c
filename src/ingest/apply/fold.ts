/**
 * A batch as layers, each with at most one change per key, to be applied in order.
 *
 * Of two full images of one key only the later counts, so they fold into one. What doesn't fold takes a further layer: a change
 * with absent columns needs the stored row, which may be newer than what came before it in the batch; an incremental read has no
 * version to compare; a change of tenant must meet the stored tenant; a changed key leaves behind what is stored.
 */
import type { Entity } from '../../model/model.ts'
import { columnSqlType } from '../../model/names.ts'
import { columnOf } from '../../model/sql/row-scope.ts'
import type { Change, OrderedVersion } from '../change.ts'

/** `older`: full images that a later one of the same batch replaces, or that come after it. */
export type Folded = {
  readonly layers: readonly (readonly Change[])[]
  readonly older: number
  readonly duplicate: number
  /** Live changes that are older than another of their key by position but later by time (C14). */
  readonly restored: readonly Change[]
}

/** Negative, zero or positive, as `a` is earlier than, equal to or later than `b`. */
export const compareVersions = (a: OrderedVersion, b: OrderedVersion): number => {
  if (a.epoch !== b.epoch) return a.epoch - b.epoch
  if (a.major !== b.major) return a.major < b.major ? -1 : 1
  return a.minor === b.minor ? 0 : a.minor < b.minor ? -1 : 1
}

/** Equal keys have equal texts: decimals are compared without trailing zeros. */
export const keyText = (entity: Entity, { row }: Pick<Change, 'row'>): string => keyTextOf(entity)(row)

const keyTextOf = (entity: Entity): ((row: Change['row']) => string) => {
  const columns = entity.key.map((name) => ({
    name,
    decimal: columnSqlType(columnOf(entity, name)) === 'numeric',
  }))
  return (row) =>
    JSON.stringify(
      columns.map(({ name, decimal }) => {
        const value = row[name]
        return decimal && typeof value === 'string' && value.includes('.') ? value.replace(/\.?0+$/, '') : value
      }),
    )
}

/** All changes are the entity's, in the order of their log. */
export const fold = (entity: Entity, changes: readonly Change[]): Folded => {
  const textOf = keyTextOf(entity)
  const layers: Change[][] = []
  const last = new Map<string, { layer: number; index: number }>()
  const restored: Change[] = []
  let older = 0
  let duplicate = 0
  for (const change of changes) {
    const key = textOf(change.row)
    const at = last.get(key)
    const known = at && layers[at.layer]![at.index]!
    if (at && known && folds(entity, known, change)) {
      const order = compareVersions(change.version as OrderedVersion, known.version as OrderedVersion)
      if (order > 0) layers[at.layer]![at.index] = change
      else if (order < 0 && wentBack(known, change)) restored.push(change)
      if (order === 0) duplicate += 1
      else older += 1
      continue
    }
    const layer = at ? at.layer + 1 : 0
    layers[layer] ??= []
    last.set(key, { layer, index: layers[layer]!.push(change) - 1 })
  }
  return { layers, older, duplicate, restored }
}

const wentBack = (known: Change, older: Change): boolean =>
  older.live && known.version.epoch === older.version.epoch && instant(older) > (instant(known) || instant(older))

/** Comparable as text: without the Z, which sorts after a fraction's point. */
const instant = ({ eventTime }: Change): string => eventTime?.slice(0, -1) ?? ''

const folds = (entity: Entity, known: Change, next: Change): boolean => {
  // The image that a row leaves behind under its old key is the stored one.
  if (known.keyChange || next.keyChange) return false
  if (known.version.kind !== 'ordered' || next.version.kind !== 'ordered' || next.absent.length || known.absent.length)
    return false
  if (entity.tenant.kind !== 'COLUMN') return true
  // An older one counts after all where the newer is refused for its tenant, so only the table can judge it.
  if (next.op === 'delete') return compareVersions(next.version, known.version) > 0
  return known.op === 'upsert' && known.row[entity.tenant.column] === next.row[entity.tenant.column]
}
