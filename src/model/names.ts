import type { Column, Entity, ScalarName, ValueType } from './model.ts'

/** `tenantId` → `tenant_id`, `signals24h` → `signals24h`, `URLPath` → `url_path`. */
export const snakeCase = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1_$2')
    .toLowerCase()

/** A Postgres identifier, quoted. */
export const ident = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** A Postgres text literal, quoted. NUL is refused: Postgres text can't hold it. */
export const quote = (text: string): string => {
  if (text.includes('\0')) throw new Error('a NUL character can not stand in SQL text')
  return text.includes('\\')
    ? ` E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
    : `'${text.replaceAll("'", "''")}'`
}

/** The entity's table, quoted: `"sales"."order_line"`. */
export const entityTable = (entity: Pick<Entity, 'domain' | 'name'>): string =>
  `${ident(entity.domain)}.${ident(snakeCase(entity.name))}`

/** The column that stores a field, unquoted. Engine columns start with `_`, which no field may. */
export const columnName = (field: string): string => snakeCase(field)

const scalarTypes: Record<ScalarName, string> = {
  ID: 'text',
  String: 'text',
  Int: 'integer',
  Long: 'bigint',
  Float: 'double precision',
  Boolean: 'boolean',
  Decimal: 'numeric',
  DateTime: 'timestamptz',
  Date: 'date',
  JSON: 'jsonb',
}

/** The Postgres type of one value, without array or collation. */
export const valueSqlType = (type: ValueType): string => (type.kind === 'enum' ? 'text' : scalarTypes[type.scalar])

/** The Postgres type of an entity column, array included, collation left out. */
export const columnSqlType = (column: Pick<Column, 'type' | 'list'>): string =>
  valueSqlType(column.type) + (column.list ? '[]' : '')

/** Text orders and compares by code point everywhere. */
export const collation = (sqlType: string): string => (sqlType.startsWith('text') ? ' collate "C"' : '')
