/** What a caller hears who asks for something that is still being built. */
import type { GraphQLError } from 'graphql'
import { rebuildingError } from './errors.ts'
import type { Served } from './freshness/serving.ts'

type Asked = { readonly view: string; readonly fields: Iterable<string>; readonly searched?: Iterable<string> }

/** Undefined where what is asked can be read. `searched`: fields of conditions and orders, or by which a row is looked up. */
export const rebuilding = (
  served: Served | undefined,
  { view, fields, searched = [] }: Asked,
): GraphQLError | undefined => {
  const gap = served?.gap
  if (!served || !gap) return undefined
  if (gap.whole !== undefined)
    return rebuildingError(
      `${view}: ${gap.whole} than this gateway's folder says. ${building(served)}`,
      detailOf(served),
    )
  const absent = [...new Set([...fields, ...searched])].filter((name) => gap.fields.has(name))
  const blind = [...searched].filter((name) => gap.unsearchable.has(name))
  const names = [...absent, ...blind]
  if (names.length === 0) return undefined
  const what = names.map((name) => `${view}.${name}`).join(', ')
  const cannot = absent.length > 0 ? 'read' : 'searched by'
  return rebuildingError(`${what} can't be ${cannot} yet. ${building(served)}`, detailOf(served))
}

type Detail = { readonly progress: number | null; readonly secondsLeft: number | null }

const detailOf = ({ build }: Served): Detail => {
  if (!build || build.done === null || build.total === null) return { progress: build ? 0 : null, secondsLeft: null }
  const { done, total, rate } = build
  return {
    progress: total === 0 ? 1 : Math.round((1_000 * done) / total) / 1_000,
    secondsLeft: rate === null || rate <= 0 ? null : Math.ceil(Math.max(0, total - done) / rate),
  }
}

const building = (served: Served): string => {
  if (!served.build) return 'What serves is another definition; no build of this one is under way.'
  if (served.build.reason !== null) return `The build of it waits: ${served.build.reason}.`
  const { progress, secondsLeft } = detailOf(served)
  const left = secondsLeft === null ? '' : `, about ${secondsLeft} s left`
  return `It is being built: ${Math.floor(100 * (progress ?? 0))}% done${left}. Ask without it until then.`
}
