/** The database that a model needs. */

import type { Entity, Model } from '../../model/model.ts'
import { collation, columnName, columnSqlType, snakeCase } from '../../model/names.ts'
import { sourcedColumns } from '../../model/sourced.ts'
import { entityIndexes, type Walk, walksOf } from '../../model/sql/entity.ts'
import { computedSql, liveSql } from '../../model/sql/live.ts'
import { engineObjects } from './engine-objects.ts'
import { engineTables } from './engine-tables.ts'
import { type Physical, type Table, type TableColumn, tableName } from './physical.ts'

/** Pure: equal models give equal data. */
export const physicalOf = (model: Model): Physical => {
  const walks = walksOf(model)
  const entities = [...model.entities.values()].map((entity) => entityTableOf(walks, entity))
  return {
    tables: [...engineTables, ...entities].sort((a, b) => (tableName(a) < tableName(b) ? -1 : 1)),
    objects: engineObjects,
  }
}

const entityTableOf = (walks: readonly Walk[], entity: Entity): Table => {
  const key = new Set(entity.key)
  return {
    schema: entity.domain,
    name: snakeCase(entity.name),
    columns: [
      ...sourcedColumns(entity).map((column) => {
        const type = columnSqlType(column)
        return {
          name: columnName(column.name),
          type: type + collation(type),
          ...(key.has(column.name) && { notNull: true }),
        }
      }),
      ...rowColumns,
      ...entity.columns.flatMap(({ computed, ...column }) => {
        if (computed === undefined) return []
        const type = columnSqlType(column)
        return [
          { name: columnName(column.name), type: type + collation(type), generated: computedSql(column, computed) },
        ]
      }),
      ...(entity.conflict === 'FIELD_CLOCK' ? [{ name: '_clocks', type: 'jsonb', notNull: true }] : []),
      { name: '_live', type: 'boolean', generated: liveSql(entity) },
    ],
    key: entity.key.map(columnName),
    indexes: entityIndexes(walks, entity),
  }
}

/** Of every entity row. A tombstone has its key and these alone, so no declared column but the key is `not null`. */
const rowColumns: readonly TableColumn[] = [
  { name: '_deleted', type: 'boolean', notNull: true, default: 'false' },
  { name: '_epoch', type: 'integer', notNull: true },
  { name: '_version', type: 'bigint', notNull: true },
  { name: '_tie', type: 'bigint', notNull: true },
  { name: '_event_time', type: 'timestamptz' },
  { name: '_partition', type: 'integer', notNull: true },
  { name: '_offset', type: 'bigint', notNull: true },
  { name: '_absent', type: 'text[]' },
  { name: '_raw', type: 'jsonb' },
  { name: '_awaits', type: 'text' },
  { name: '_deleted_at', type: 'timestamptz' },
  { name: '_trace', type: 'text' },
  { name: '_tx', type: 'text' },
]
