/** Steps through the JSON of Postgres's parse trees, which is typed only as far as it is looked at. */

export type Tree = { readonly [name: string]: unknown }

const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value)
/** A child or a list of children; anything else is none. */
export const trees = (value: unknown): readonly Tree[] =>
  Array.isArray(value) ? value.filter(isTree) : isTree(value) ? [value] : []
export const treeAt = (tree: Tree | undefined, ...path: readonly string[]): Tree | undefined =>
  path.reduce<Tree | undefined>((node, key) => (isTree(node?.[key]) ? node[key] : undefined), tree)
/** The names in a qualified name; a star stands for what is none. */
export const strings = (value: unknown): readonly string[] =>
  trees(value).map((item) => {
    const text = treeAt(item, 'String')?.sval
    return typeof text === 'string' ? text : '*'
  })

/** Children, lists opened. */
export const items = (value: unknown): readonly Tree[] =>
  trees(value).flatMap((child) => ('List' in child ? trees(treeAt(child, 'List')?.items) : [child]))
