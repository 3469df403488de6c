/** Parts that show themselves, and expressions that read themselves: each circle is named once, where it is first declared. */

import type { Model } from '../model.ts'
import type { Report } from '../read/fault.ts'
import { readsOf } from '../reads.ts'

export const checkCycles = (model: Model, report: Report): void => {
  const shown = new Map(
    [...model.parts.values()].map(({ name, fields }) => [
      name,
      fields.flatMap(({ type }) => (type.kind === 'part' ? [type.part] : [])),
    ]),
  )
  for (const [name, circle] of circles(shown)) {
    const field = model.parts.get(name)!.fields.find(({ type }) => type.kind === 'part' && type.part === circle[1])!
    report(
      field.place,
      `${name} shows itself: ${circle.join(' → ')}`,
      'End with a part that has no such field: a shape is finite.',
    )
  }
  for (const type of [...model.views.values(), ...model.parts.values()])
    for (const [name, circle] of circles(new Map(type.fields.map((field) => [field.name, readsOf(field)])))) {
      const field = type.fields.find((known) => known.name === name)!
      report(
        field.place,
        `${type.name}.${name} reads itself: ${circle.join(' → ')}`,
        'Let one of them read stored fields only.',
      )
    }
}

/** A shortest circle for each name that lies on one, unless an earlier name's circle holds it. */
const circles = (edges: ReadonlyMap<string, readonly string[]>): ReadonlyMap<string, readonly string[]> => {
  const found = new Map<string, readonly string[]>()
  const covered = new Set<string>()
  for (const start of edges.keys()) {
    if (covered.has(start)) continue
    const circle = shortest(edges, start)
    if (circle === undefined) continue
    found.set(start, circle)
    for (const name of circle) covered.add(name)
  }
  return found
}

const shortest = (edges: ReadonlyMap<string, readonly string[]>, start: string): readonly string[] | undefined => {
  const paths: (readonly string[])[] = [[start]]
  const passed = new Set<string>()
  for (const path of paths)
    for (const next of edges.get(path.at(-1)!) ?? []) {
      if (next === start) return [...path, next]
      if (!passed.has(next)) paths.push([...path, next])
      passed.add(next)
    }
  return undefined
}
