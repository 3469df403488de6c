import type { Column, Entity, EnumType, Model, ScalarName, Source } from '../../src/model/model.ts'
import { snakeCase } from '../../src/model/names.ts'

const place = { file: 'test.graphql', line: 1, column: 1 }

type ColumnOptions = Partial<Omit<Column, 'name' | 'type'>> & { readonly scale?: number; readonly enum?: string }

/** `column('total', 'Decimal!', { scale: 2 })`; `[String!]` is a list; `enum` names the enum of an `Enum` column. */
export const column = (name: string, type: string, options: ColumnOptions = {}): Column => {
  const { scale, enum: enumName, ...rest } = options
  const scalar = type.replaceAll(/[[\]!]/g, '')
  return {
    name,
    type: enumName
      ? { kind: 'enum', enum: enumName }
      : { kind: 'scalar', scalar: scalar as ScalarName, ...(scale === undefined ? {} : { scale }) },
    list: type.startsWith('['),
    nonNull: type.endsWith('!'),
    path: [snakeCase(name)],
    encoding: 'AUTO',
    place,
    ...rest,
  }
}

export const entity = (
  name: string,
  key: readonly string[],
  columns: readonly Column[],
  source: Partial<Source> = {},
  more: Partial<Entity> = {},
): Entity => ({
  name,
  domain: 'test',
  key,
  columns,
  joins: [],
  tenant: { kind: 'NONE' },
  source: { topic: 'topic', format: 'DEBEZIUM', zone: 'UTC', ...source },
  conflict: 'VERSION',
  place,
  ...more,
})

export const model = (entities: readonly Entity[], enums: readonly EnumType[] = []): Model => ({
  roles: [],
  domains: new Map(),
  enums: new Map(enums.map((type) => [type.name, type])),
  entities: new Map(entities.map((one) => [one.name, one])),
  parts: new Map(),
  views: new Map(),
  policies: new Map(),
})
