/** The names under which a view is asked for. */
import type { Model } from '../model/model.ts'

/** `CustomerOverview` → `customerOverview`. */
export const oneName = (view: string): string => view.charAt(0).toLowerCase() + view.slice(1)
/** English in its simple form: `categories`, `boxes`, `customerOverviews`. */
export const manyName = (view: string): string =>
  oneName(view)
    .replace(/([^aeiou])y$/, '$1ie')
    .replace(/(s|x|z|ch|sh)$/, '$1e')
    .concat('s')

const own = ['node', 'forebay']
const ownTypes = [
  'Query',
  'Node',
  'PageInfo',
  'Forebay',
  'ForebayView',
  'ForebaySource',
  'ForebayPartition',
  'ForebayParked',
  'RowFreshness',
  'FreshnessState',
  'OrderDirection',
  'Consistency',
  'OnStale',
]
const madeTypes = (view: string): string[] => [`${view}Connection`, `${view}Edge`, `${view}Where`, `${view}OrderBy`]

/** Throws when two views, or a view and something of the engine, would have one name. */
export const checkNames = (model: Model): void => {
  const fields = new Map(own.map((name) => [name, 'the engine']))
  const types = new Map(ownTypes.map((name) => [name, 'the engine']))
  const claim = (names: Map<string, string>, name: string, owner: string): void => {
    const other = names.get(name)
    if (other !== undefined) throw new Error(`${owner} and ${other} both need the GraphQL name ${name}: rename one`)
    names.set(name, owner)
  }
  for (const name of model.enums.keys()) claim(types, name, `the enum ${name}`)
  for (const name of model.parts.keys()) claim(types, name, `the part ${name}`)
  for (const { name, fields: own } of model.views.values()) {
    const connective = own.find((field) => field.filter && ['and', 'or', 'not'].includes(field.name))
    if (connective)
      throw new Error(`${name}.${connective.name} can't be a @filter: where says and, or and not by these names`)
  }
  for (const view of model.views.keys()) {
    claim(types, view, `the view ${view}`)
    for (const name of madeTypes(view)) claim(types, name, `the view ${view}`)
    claim(fields, oneName(view), `the view ${view}`)
    claim(fields, manyName(view), `the view ${view}`)
  }
}
