/** Random walks along the joins of given entities. */
import type { Draw } from './draw.ts'
import type { ColumnSpec, EntitySpec, JoinSpec } from './entity-arbitrary.ts'

export type Zoo = readonly EntitySpec[]
export const specOf = (zoo: Zoo, name: string): EntitySpec => zoo.find((e) => e.name === name)!
export const columnsOf = (entity: EntitySpec): readonly ColumnSpec[] => [...entity.key, ...entity.columns]

/** Joins walked from an entity, and where they end. */
export type Walk = { readonly joins: readonly JoinSpec[]; readonly end: EntitySpec }

/** At most `most` joins, each of which `allowed` admits; shorter where nothing can be walked. */
export const walk = (
  draw: Draw,
  zoo: Zoo,
  from: EntitySpec,
  most: number,
  allowed: (join: JoinSpec) => boolean,
): Walk => {
  let end = from
  const joins: JoinSpec[] = []
  for (let left = most; left > 0; left--) {
    const next = end.joins.filter(allowed)
    if (next.length === 0) break
    const join = draw.pick(next)
    joins.push(join)
    end = specOf(zoo, join.target)
  }
  return { joins, end }
}

export const isToOne = (join: JoinSpec): boolean => !join.many
export const pathText = (joins: readonly JoinSpec[], column?: string): string =>
  [...joins.map((j) => j.name), ...(column === undefined ? [] : [column])].join('.')

const LENGTHS = [1, 2, 2, 3, 3, 4, 5]

/** To-many joins with to-one joins before and between them, ending at a to-many join; undefined where there is none. */
export const walkMany = (draw: Draw, zoo: Zoo, from: EntitySpec): Walk | undefined => {
  const { joins, end } = walk(draw, zoo, from, draw.pick(LENGTHS), () => true)
  const last = joins.findLastIndex((j) => j.many)
  if (last < 0) {
    const many = end.joins.filter((j) => j.many)
    if (many.length === 0) return undefined
    const join = draw.pick(many)
    return { joins: [...joins, join], end: specOf(zoo, join.target) }
  }
  return { joins: joins.slice(0, last + 1), end: specOf(zoo, joins[last]!.target) }
}
