/**
 * What is kept of a view, as a graph without cycles: the view itself (node 0) and the rollups and parts that it reads, each after those that
 * read it. Each node has keys of its own entity and paths by which changes reach them. What changes of a node, groups that moved or parts
 * that differ, is a raw value of the paths it feeds.
 *
 *   change ─► path ─► keys of a rollup ─► moved groups ─► path that it feeds ─► keys of the view ─► rows
 */
import type { Entity, Join } from '../model.ts'
import { entityTable } from '../names.ts'
import { alongSteps, type DirtyPath, dirtyPaths, expandSql, inOrder, pathFrom, rootKey } from './dirty-path.ts'
import { type FanoutSql, fanoutSql } from './fanout.ts'
import type { Feed, Kept, KeptBeside, Rollup } from './kept.ts'
import type { PartSql } from './kept-part.ts'
import type { RollupSql } from './rollup.ts'
import { type Compilation, type Dependencies, isKey, pathId } from './row-scope.ts'

/**
 * One of a view's paths; its place in `paths` is its number in the log. `fedBy`: what that node changed comes this way, no entity's changes.
 * `own`: every shard's owner is told, and follows it to keys of its own.
 */
export type LogPath = DirtyPath & { readonly node: number; readonly fedBy?: number; readonly own?: true }

export type Node = {
  /** The number of the path of its own keys. */
  readonly own: number
  /** Yields `k` of all its keys there are. */
  readonly keys: string
  /** Paths that what this node changed are raw values of. */
  readonly feeds: readonly number[]
  /** Neither: the view itself. */
  readonly rollup?: RollupSql
  readonly part?: PartSql
}
/** By path. `ids`: the same however much of the view is compiled. `fanouts`: null where there is nothing to follow, or it is followed whole; how it is done is no part of the definition. */
export type Nodes = {
  readonly paths: readonly LogPath[]
  readonly nodes: readonly Node[]
  readonly ids: readonly string[]
  readonly fanouts: readonly (FanoutSql | null)[]
}

type Draft = {
  readonly id: string
  readonly entity: Entity
  readonly compilation: Compilation
  readonly kept?: Kept
  readonly keys: string
}

/** All that is kept, but for `reader`'s own; readers come before what they read. */
const drafts = (reader: Compilation, beside: KeptBeside): readonly Draft[] => {
  const ordered: Kept[] = []
  const visit = (kept: Kept): void => {
    if (ordered.includes(kept) || kept.compilation === reader) return
    for (const feed of beside.feeds(kept.compilation).values()) visit(feed.kept)
    ordered.unshift(kept)
  }
  for (const kept of beside.all.values()) visit(kept)
  return ordered.map((kept) => ({ ...kept, kept, keys: allKeys(kept.entity) }))
}

const allKeys = (entity: Entity): string =>
  `select ${rootKey(entity, 'r')} as k from ${entityTable(entity)} r where _live`

/** Of a view with a row for each row of `root`. */
export const nodesOf = (root: Entity, compilation: Compilation, beside: KeptBeside): Nodes =>
  join([{ id: '', entity: root, compilation, keys: allKeys(root) }, ...drafts(compilation, beside)], beside)

/** Of a view with a row for each group of `rollup`. */
export const groupedNodes = (rollup: Rollup, beside: KeptBeside): Nodes => {
  const { entity, compilation } = rollup
  const top: Draft = { ...rollup, kept: rollup, keys: allKeys(entity) }
  const below = join([top, ...drafts(compilation, beside)], beside, 1)
  const own: LogPath = { entity: entity.name, values: ['_group'], watched: [], node: 0, fedBy: 1 }
  const keys = `select jsonb_build_array(_group) as k from ${rollup.sums}`
  const shifted = (number: number) => number + 1
  const nodes = below.nodes.map((node, i) => ({
    ...node,
    own: shifted(node.own),
    feeds: i === 0 ? [0] : node.feeds.map(shifted),
  }))
  return {
    paths: [own, ...below.paths],
    nodes: [{ own: 0, keys, feeds: [] }, ...nodes],
    ids: ['', ...below.ids],
    fanouts: [null, ...below.fanouts],
  }
}

/** `first`: the number of the first draft's node. */
const join = (all: readonly Draft[], beside: KeptBeside, first = 0): Nodes => {
  const paths: LogPath[] = []
  const ids: string[] = []
  const fanouts: (FanoutSql | null)[] = []
  const own: number[] = []
  const nodeOf = (kept: Kept): number => first + all.findIndex((draft) => draft.kept === kept)
  for (const [i, { id, entity, compilation }] of all.entries()) {
    const node = first + i
    own.push(paths.length)
    const { dependencies } = compilation
    const add = (path: LogPath, steps: readonly Join[], changed: Entity, name: string, byKey = false) => {
      paths.push(path)
      ids.push(`${id} ${name}`)
      const stretched = path.expand !== undefined && !isTangled(entity, steps, dependencies)
      fanouts.push(stretched ? fanoutSql(entity, changed, steps, dependencies, byKey) : null)
    }
    const found = dirtyPaths(entity, dependencies)
    for (const [at, { steps, entity: changed }] of inOrder(dependencies).entries())
      add({ ...found[at]!, node }, steps, changed, pathId(steps))
    for (const [feed, { steps, kept }] of beside.feeds(compilation)) {
      const path = fedPath(entity, { steps, kept }, compilation)
      add({ ...path, node, fedBy: nodeOf(kept) }, steps, kept.entity, feed, isPart(kept))
    }
  }
  const nodes = all.map(
    ({ kept, keys }, i): Node => ({
      own: own[i]!,
      keys,
      feeds: kept ? paths.flatMap(({ fedBy }, number) => (fedBy === first + i ? [number] : [])) : [],
      ...kept?.sql(),
    }),
  )
  return { paths, nodes, ids, fanouts }
}

/**
 * A rollup's raw values are its groups, in the group's order. A part's are keys of its rows, resolved to whoever lists them now: a row that
 * moves from list to list meanwhile is a change of its own.
 */
const fedPath = (root: Entity, { steps, kept }: Feed, { dependencies }: Compilation): DirtyPath => {
  const shared = { entity: kept.entity.name, watched: [] }
  if (isPart(kept))
    return { ...shared, values: kept.entity.key, expand: expandSql(root, kept.entity, steps, dependencies, true) }
  const path = pathFrom(root, kept.entity, steps, dependencies)
  const values = steps.at(-1)!.to
  const inGroupOrder = path.values.join() === values.join()
  const expand = inGroupOrder ? path.expand : expandSql(root, kept.entity, steps, dependencies)
  return { ...shared, values, ...(expand === undefined ? {} : { expand }) }
}

/**
 * Whether a row on the way up can be reached from several rows below, and each of these ways leads on to many: then rows are reached in as many
 * ways as there are products of these, and only taking each row once ends in time.
 */
const isTangled = (root: Entity, steps: readonly Join[], dependencies: Dependencies): boolean => {
  const entityAt = alongSteps(root, steps, dependencies)
  let meets = false
  // The first step leads from one value: no two rows meet there.
  for (let depth = steps.length - 2; depth >= 0; depth--) {
    const { from, to } = steps[depth]!
    meets ||= !isKey(entityAt(depth + 1), to)
    if (meets && !isKey(entityAt(depth), from)) return true
  }
  return false
}

const isPart = (kept: Kept): boolean => 'part' in kept.sql()
