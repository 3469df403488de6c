/**
 * Random declarations, valid by construction: a fault that the checker finds in one is a bug of the generator or of the checker.
 * Entities first (a tree with extra joins), then views over whatever can be walked from their roots.
 */
import type fc from 'fast-check'
import { type Draw, drawFrom, tape } from './draw.ts'
import { entityText, makeEntities } from './entity-arbitrary.ts'
import { makeView } from './view-arbitrary.ts'

const HEAD = `enum Kind { A B C OTHER @value(other: true) }
extend enum Role { READER }
extend schema @domain(name: "zoo", owner: "law") @domain(name: "farm", owner: "law")
`

const schemaText = (draw: Draw): string => {
  const entities = makeEntities(draw)
  const views = Array.from({ length: 1 + draw.below(3) }, (_, i) => makeView(draw, entities, i))
  return [HEAD, ...entities.map(entityText), ...views].join('\n')
}

/** SDL of a whole folder, in one file. */
export const schemaArbitrary: fc.Arbitrary<string> = tape(700).map((numbers) => schemaText(drawFrom(numbers)))
