import type { ASTNode, Location } from 'graphql'
import { suggestionList } from 'graphql/jsutils/suggestionList.js'
import type { Fault, Place } from '../model.ts'

/** Notes one fault and gives undefined, so that a reader can `return report(…)`. */
export type Report = (at: ASTNode | Place, problem: string, remedy: string) => undefined

/** The place of a node that was parsed with locations. */
export const placeOf = (node: ASTNode): Place => {
  const loc = node.loc as Location
  return { file: loc.source.name, line: loc.startToken.line, column: loc.startToken.column }
}

/** The place `offset` characters into a string literal; the literal itself where escapes or a block make that unknowable. */
export const placeInText = (node: ASTNode, offset: number): Place => {
  const place = placeOf(node)
  const plain = node.kind === 'StringValue' && !node.block && node.loc!.end - node.loc!.start === node.value.length + 2
  return plain ? { ...place, column: place.column + 1 + offset } : place
}

const isNode = (at: ASTNode | Place): at is ASTNode => 'kind' in at

export const collectFaults = (): { report: Report; faults: () => readonly Fault[] } => {
  const found = new Map<string, Fault>()
  return {
    report: (at, problem, remedy) => {
      const place = isNode(at) ? placeOf(at) : at
      found.set(`${place.file}:${place.line}:${place.column}:${problem}`, { place, problem, remedy })
      return undefined
    },
    faults: () =>
      [...found.values()].sort(
        (a, b) =>
          compareText(a.place.file, b.place.file) || a.place.line - b.place.line || a.place.column - b.place.column,
      ),
  }
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** What to write instead of `name`: the nearest of `known`, else all of them. */
export const instead = (name: string, known: Iterable<string>): string => {
  const options = [...known]
  const [nearest] = suggestionList(name, options)
  if (nearest !== undefined) return `Write ${nearest}.`
  return options.length === 0
    ? 'Declare it first.'
    : `Known are ${sentence(options.slice(0, 12), 'and')}${options.length > 12 ? ' and others' : ''}.`
}

/** `a, b or c`. */
export const sentence = (words: readonly string[], join: 'and' | 'or'): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${join} ${words.at(-1)}`
