/**
 * A compiled view as it is kept in the database (forebay.generations): all that a process needs to maintain it, or to answer from its
 * table, without the folder that it was compiled from. So the old definition stays hot after a deploy, and any process keeps up any.
 */
import type { Model, Part } from './model.ts'
import { columnSqlType, entityTable } from './names.ts'
import type { CompiledView } from './sql/compile-view.ts'
import { type NodeFill, nodeFill } from './sql/fill.ts'
import { type HeldPath, heldPaths } from './sql/held.ts'
import { entityOf } from './sql/row-scope.ts'

/** What is read of an entity: its table, its topic, and by field the column's type. */
export type EntityRead = {
  readonly table: string
  readonly topic: string
  readonly columns: Readonly<Record<string, string>>
}
export type StoredView = Omit<CompiledView, 'dependencies'> & {
  /** By path. */
  readonly held: readonly HeldPath[]
  /** How each node is filled, in the order in which that is done: the deepest first, the view's own rows last. */
  readonly fill: readonly NodeFill[]
  /** The parts that its fields are made of. */
  readonly parts: readonly Part[]
  /** The values of the enums that its fields and its parts' are of; absent where it was kept before they were. */
  readonly enums?: Readonly<Record<string, readonly string[]>>
  readonly reads: Readonly<Record<string, EntityRead>>
}

export const storedView = (model: Model, { dependencies: _, ...compiled }: CompiledView): StoredView => {
  const parts = new Map<string, Part>()
  const enums = new Map<string, readonly string[]>()
  const collect = (fields: Part['fields']): void => {
    for (const { type } of fields) {
      if (type.kind === 'enum')
        enums.set(
          type.enum,
          model.enums.get(type.enum)!.values.map(({ name }) => name),
        )
      const part = type.kind === 'part' ? model.parts.get(type.part) : undefined
      if (!part || parts.has(part.name)) continue
      parts.set(part.name, part)
      collect(part.fields)
    }
  }
  collect(compiled.view.fields)
  const reads = new Map<string, EntityRead>()
  const read = [...compiled.reach, ...compiled.paths.filter(({ fedBy }) => fedBy === undefined)]
  for (const { entity: name, values, watched } of read) {
    const entity = entityOf(model, name)
    const columns = entity.columns.filter((column) => values.includes(column.name) || watched.includes(column.name))
    reads.set(name, {
      table: entityTable(entity),
      topic: entity.source.topic,
      columns: { ...reads.get(name)?.columns, ...Object.fromEntries(columns.map((c) => [c.name, columnSqlType(c)])) },
    })
  }
  return {
    ...compiled,
    held: heldPaths(model, compiled.view, compiled.reach),
    fill: fillsOf(model, compiled),
    parts: [...parts.values()],
    enums: Object.fromEntries(enums),
    reads: Object.fromEntries(reads),
  }
}

/** Nodes that follow others come first in `nodes`. A node whose own keys are groups gets them from the rollup that is filled. */
const fillsOf = (model: Model, { nodes, paths }: Pick<CompiledView, 'nodes' | 'paths'>): readonly NodeFill[] =>
  nodes
    .flatMap(({ own }, node) => {
      const { entity, fedBy } = paths[own]!
      return fedBy === undefined ? [nodeFill(entityOf(model, entity), node, own)] : []
    })
    .reverse()

/** Sets and maps don't survive JSON by themselves. */
export const encodeView = (view: StoredView): string =>
  JSON.stringify(view, (_, value: unknown) => {
    if (value instanceof Set) return { $set: [...value] }
    return value instanceof Map ? { $map: [...value] } : value
  })

export const decodeView = (text: string): StoredView =>
  JSON.parse(text, (_, value: unknown) => {
    if (typeof value !== 'object' || value === null) return value
    if ('$set' in value) return new Set(value.$set as unknown[])
    return '$map' in value ? new Map(value.$map as [unknown, unknown][]) : value
  }) as StoredView

/** Why who has this folder can't keep the view up: what it reads isn't there any more, or yet. Undefined: it can. */
export const unfollowable = (model: Model, { reads }: Pick<StoredView, 'reads'>): string | undefined => {
  for (const [name, { table, topic, columns }] of Object.entries(reads)) {
    const entity = model.entities.get(name)
    if (!entity || entityTable(entity) !== table) return `there is no ${name} in ${table}`
    if (entity.source.topic !== topic) return `${name} comes from another topic than ${topic}`
    for (const [field, type] of Object.entries(columns)) {
      const column = entity.columns.find((one) => one.name === field)
      if (!column || columnSqlType(column) !== type) return `there is no ${name}.${field} of type ${type}`
    }
  }
  return undefined
}

/** The same definition under another hash, so in tables of its own: to build it anew beside the one that serves. */
export const renamedView = (view: StoredView, hash: string): StoredView =>
  decodeView(encodeView(view).replaceAll(view.table.hash, hash))
