/** Names as Avro can hold them: letters, digits and underscores, not beginning with a digit. What it can't hold, converters replace. */
import type { Entity } from '../../model/model.ts'
import { present } from '../../platform/present.ts'

const avroName = (name: string): string => name.replaceAll(/[^A-Za-z0-9_]/g, '_').replace(/^(?=\d)/, '_')

const path = (steps: readonly string[]): readonly string[] => steps.map(avroName)
const optional = (steps: readonly string[] | undefined): readonly string[] | undefined => steps && path(steps)

/** The entity with every path as Avro has it: `Order Id` is declared as the source calls it and arrives as `Order_Id`. */
export const avroNames = (entity: Entity): Entity => {
  const { version, time, each, typeAt, events, ...source } = entity.source
  const paths = present({
    version: optional(version),
    time: optional(time),
    each: optional(each),
    typeAt: optional(typeAt),
  })
  return {
    ...entity,
    columns: entity.columns.map((column) => ({ ...column, path: path(column.path) })),
    source: {
      ...source,
      ...paths,
      ...(events && {
        events: events.map(({ at, map, ...event }) => ({
          ...event,
          ...(at && { at: path(at) }),
          map: new Map([...map].map(([name, steps]) => [name, path(steps)])),
        })),
      }),
    },
  }
}
