/** The GraphQL names that come of a view's name, and those that are the engine's own. */

/** `CustomerOverview` → `customerOverview`. */
export const oneName = (view: string): string => view.charAt(0).toLowerCase() + view.slice(1)

/** English in its simple form: `categories`, `boxes`, `customerOverviews`. */
export const manyName = (view: string): string =>
  oneName(view)
    .replace(/([^aeiou])y$/, '$1ie')
    .replace(/(s|x|z|ch|sh)$/, '$1e')
    .concat('s')

/** `CustomerOverview` → `customerOverviewsById`. */
export const byIdsName = (view: string): string => `${manyName(view)}ById`
/** What names a row of a view whose key has several fields. */
export const keyName = (view: string): string => `${view}Key`

/** Of a view's entrances: by key, as a list, by many keys, and its changes. */
export const fieldNames = (view: string): readonly string[] => [
  oneName(view),
  manyName(view),
  byIdsName(view),
  `${oneName(view)}Changed`,
]

export const typeNames = (view: string): readonly string[] => [
  `${view}Connection`,
  `${view}Edge`,
  `${view}Where`,
  `${view}OrderBy`,
  keyName(view),
]

export const reservedFields: readonly string[] = ['node', 'forebay']
export const reservedTypes: readonly string[] = [
  'Query',
  'Mutation',
  'Subscription',
  'Node',
  'PageInfo',
  'Forebay',
  'ForebayView',
  'ForebaySource',
  'ForebayPartition',
  'ForebayParked',
  'ForebayCrossing',
  'RowFreshness',
  'BucketState',
  'FreshnessState',
  'OrderDirection',
]
