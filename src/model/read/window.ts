/** `window: { on, last, step }`: which rows count as time goes by. */
import { type ConstValueNode, Kind } from 'graphql'
import type { Window } from '../event-time.ts'
import { type Directive, fieldOf } from './directive.ts'
import { centuryMs, nameOfType, readDuration } from './literal.ts'
import { joinNames, readPath, type Walk } from './path.ts'
import type { Scope } from './row.ts'

type Setting = { readonly scope: Scope; readonly owner: string; readonly grouped: boolean; readonly part: boolean }

/** A read sums the buckets of a window, so there is an end to their number. */
const mostSteps = 10_000

/** The window of rows that `walk` counts; undefined when it has a fault, which is then reported. */
export const readWindow = (
  { scope, owner, grouped, part }: Setting,
  directive: Directive,
  literal: ConstValueNode,
  walk: Walk,
): Window | undefined => {
  const what = `@${directive.name} with a window`
  if (part)
    return scope.report(
      literal,
      `${what} stands in the part ${owner}, whose values are stored with their row`,
      'Show it as a field of the view: a window is summed when a row is read.',
    )
  const through = walk.joins[walk.many]
  if (grouped && through !== undefined)
    return scope.report(
      literal,
      `${what} follows ${through.name}, which is to-many, from the members of the grouped view ${owner}: not running yet, for steps are kept of members alone`,
      `Group ${walk.counted.name} itself, in a view of its own, or count without a window.`,
    )
  if (directive.value('distinct') === true)
    return scope.report(
      directive.literal('distinct')!,
      `${what} counts different values: not running yet, for a value may stand in several steps`,
      'Count rows, or count different values without a window.',
    )
  const on = fieldOf(literal, 'on')
  const time = on && readPath(scope, walk.counted, on)
  const lastMs = readSpan(scope, what, literal, 'last')
  const stepMs = fieldOf(literal, 'step') === undefined ? 60_000 : readSpan(scope, what, literal, 'step')
  if (on === undefined || time === undefined || lastMs === undefined || stepMs === undefined) return undefined
  const many = time.joins[time.many]
  if (many !== undefined)
    return scope.report(
      on,
      `a window's \`on\` follows ${many.name}, which is to-many`,
      `Name a DateTime of ${walk.counted.name}, or one that to-one joins reach.`,
    )
  const type = time.column?.type
  if (type?.kind !== 'scalar' || type.scalar !== 'DateTime' || time.column?.list === true)
    return scope.report(
      on,
      `a window is over a DateTime, and \`on\` is ${type === undefined ? `a row of ${time.end.name}` : nameOfType(type)}`,
      `Name a DateTime of ${walk.counted.name}, or one that to-one joins reach.`,
    )
  const step = fieldOf(literal, 'step') ?? literal
  if (lastMs % stepMs !== 0)
    return scope.report(
      step,
      `a step of ${stepMs / 1000} seconds does not divide a window of ${lastMs / 1000}`,
      'Write a step that goes into `last` a whole number of times.',
    )
  if (lastMs / stepMs > mostSteps)
    return scope.report(
      step,
      `a window of ${lastMs / stepMs} steps, each of which a read may have to sum`,
      `Write a step of at least ${lastMs / mostSteps / 1000} seconds: ${mostSteps} steps are the most.`,
    )
  return { joins: joinNames(time), column: time.column!.name, lastMs, stepMs }
}

const readSpan = (scope: Scope, what: string, window: ConstValueNode, name: 'last' | 'step'): number | undefined => {
  const literal = fieldOf(window, name)
  const span = literal?.kind === Kind.STRING ? readDuration(literal.value) : undefined
  if (literal === undefined || (span !== undefined && span >= 1000 && span <= centuryMs && span % 1000 === 0))
    return span
  return scope.report(
    literal,
    `${what}: \`${name}\` is no duration of whole seconds, above zero and of at most a century`,
    'Write an ISO 8601 duration such as "PT1H"; months and years have no fixed length.',
  )
}
