/**
 * The record's own key, as key columns by name: what a delete is known by.
 */
import type { Column } from '../../model/model.ts'
import type { LogRecord } from '../change.ts'
import { type ConnectSchema, type Document, exactly, isObject, parseDocument, type SchemaCache } from './document.ts'
import { DecodeFault } from './fault.ts'
import { schemaAt, walk } from './row.ts'

/** A record's key, which is never empty, in its topic's format; every number exact. Throws as reading the value does. */
export type ReadKey = (record: LogRecord, key: Buffer) => Document

/** `values`: by column name; a column that the key doesn't hold is left out. `schema`: its fields are the columns likewise. */
export type RecordKey = {
  readonly values: Readonly<Record<string, unknown>>
  readonly schema: ConnectSchema | undefined
  readonly document: Document
}

/** A struct by source names, in any order; or, where one column is asked for, a bare value or text. Undefined: no key. */
export const compileKey =
  (columns: readonly Column[]): ((record: LogRecord, read: ReadKey) => RecordKey | undefined) =>
  (record, read) => {
    const { key } = record
    if (key === null || key.length === 0) return undefined
    const document = read(record, key)
    const { payload, schema } = document
    if (isObject(payload)) {
      const values: Record<string, unknown> = {}
      const fields: ConnectSchema[] = []
      for (const { name, path } of columns) {
        const last = path.slice(-1)
        const value = walk(payload, path) ?? walk(payload, last)
        if (value !== undefined) values[name] = value
        const own = schemaAt(schema, path) ?? schemaAt(schema, last)
        if (own) fields.push({ ...own, field: name })
      }
      return { values, schema: schema && { type: 'struct', fields }, document }
    }
    const [column] = columns
    if (columns.length !== 1 || column === undefined || payload === null) return undefined
    // A bare number stays as it was written: `1e5` may be a text.
    const value = typeof payload === 'string' || document.text === '' ? payload : document.text
    return { values: { [column.name]: value }, schema: undefined, document }
  }

/** JSON, else text. */
export const parseKey = (key: Buffer, schemas: SchemaCache): Document => {
  try {
    return exactly(parseDocument(key, schemas))
  } catch (error) {
    if (!(error instanceof DecodeFault)) throw error
    const text = key.toString('utf8')
    return { payload: text, schema: undefined, exact: true, escapes: true, text, wrapped: false }
  }
}
