/** How the engine's own tables are written down, all in the schema `forebay`. */
import type { Table, TableColumn } from './physical.ts'

export const required = (name: string, type: string, fallback?: string): TableColumn =>
  fallback === undefined ? { name, type, notNull: true } : { name, type, notNull: true, default: fallback }
export const optional = (name: string, type: string): TableColumn => ({ name, type })
export const identity = (name: string, type: string): TableColumn => ({ name, type, notNull: true, identity: true })

export const table = (
  name: string,
  columns: readonly TableColumn[],
  key: readonly string[],
  rest: Partial<Table> = {},
): Table => ({ schema: 'forebay', name, columns, key, indexes: [], ...rest })
