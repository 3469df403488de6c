/**
 * What befalls a table beside writes of single rows: a truncate, a changed key, two keys swapped within a transaction, a large value that an
 * update leaves alone, a connector that comes back after a time and takes its snapshot anew, at its second try.
 */
import type { Entity, Model } from '../../src/model/model.ts'
import type { SourceWrite } from './debezium.ts'
import type { Draw } from './draw.ts'
import { KEYS, keyOf, makeRow } from './row-arbitrary.ts'
import type { Row } from './seen.ts'

/** `mine`: the entity's rows by key text, changed on the way. `next`: the source's log goes on. */
export type Table = {
  readonly entity: Entity
  readonly mine: Map<string, Row>
  readonly next: () => bigint
}
const idOf = (key: Row): string => JSON.stringify(key)

/**
 * Columns of text, whose values a source may keep apart from the row: the unchanged ones that this write leaves out. None of rows that are
 * kept for a time: one that has gone meanwhile, and comes back, waits for them.
 */
export const leftOut = (draw: Draw, { columns, key, retention }: Entity, before: Row, row: Row): readonly string[] =>
  draw.oneIn(2) && retention === undefined
    ? columns
        .filter(({ name, type }) => !key.includes(name) && type.kind === 'scalar' && type.scalar === 'String')
        .filter(({ name }) => JSON.stringify(before[name]) === JSON.stringify(row[name]))
        .map(({ name }) => name)
    : []

export const truncated = ({ entity, mine, next }: Table): readonly SourceWrite[] => {
  mine.clear()
  return [{ entity, key: {}, row: null, op: 't', lsn: next() }]
}

/** A row goes to the key of the same tenant that is free, or two change places by way of a third key. */
export const moved = (draw: Draw, { entity, mine, next }: Table, index: number): readonly SourceWrite[] => {
  const others = Array.from({ length: KEYS }, (_, i) => i).filter((i) => i !== index && i % 2 === index % 2)
  const to = draw.pick(others)
  const step = (from: number, at: number): readonly SourceWrite[] => {
    const [old, key] = [keyOf(entity, from), keyOf(entity, at)]
    const before = mine.get(idOf(old))!
    const row = { ...before, ...key }
    mine.delete(idOf(old))
    mine.set(idOf(key), row)
    const lsn = next()
    return [
      { entity, key: old, row: null, op: 'd', lsn, moved: { side: 'old', key } },
      { entity, key, row, op: 'c', lsn, left: leftOut(draw, entity, before, row), moved: { side: 'new', key: old } },
    ]
  }
  if (!mine.has(idOf(keyOf(entity, to)))) return step(index, to)
  const aside = KEYS + (index % 2)
  return [step(index, aside), step(to, index), step(aside, to)].flat()
}

/** What changes while no connector reads is in the log only by what the second try finds. */
export const snapshotAgain = (draw: Draw, model: Model, { entity, mine, next }: Table): readonly SourceWrite[] => {
  const reads = (lsn: bigint, rows: readonly Row[], whole: boolean): readonly SourceWrite[] =>
    rows.map((row, i) => ({
      entity,
      key: Object.fromEntries(entity.key.map((name) => [name, row[name]!])),
      row,
      op: 'r',
      lsn,
      snapshot: whole && i === rows.length - 1 ? 'last' : 'true',
    }))
  const first = [...mine.values()]
  const brokenOff = reads(next(), first.slice(0, draw.below(first.length + 1)), false)
  for (let unseen = draw.below(6); unseen > 0; unseen--) {
    const index = draw.below(KEYS)
    const id = idOf(keyOf(entity, index))
    const before = mine.get(id)
    // Of a table without rows a snapshot says nothing.
    if (before && mine.size > 1 && draw.oneIn(2)) mine.delete(id)
    else mine.set(id, makeRow(draw, model, entity, index, before))
  }
  return [...brokenOff, ...reads(next(), [...mine.values()], true)]
}
