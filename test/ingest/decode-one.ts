import type { CellValue, Change, Decoded } from '../../src/ingest/change.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import type { Column, EnumType, Source } from '../../src/model/model.ts'
import { column, entity, model } from './entities.ts'
import { recordOf } from './samples.ts'

/** The one change of one record; fails with what it came to instead. */
export const changeOf = (decoded: readonly Decoded[]): Change => {
  const [only] = decoded
  if (decoded.length !== 1 || only?.kind !== 'changes' || only.changes.length !== 1) {
    throw new Error(
      `expected one change: ${JSON.stringify(decoded, (_, value) => (typeof value === 'bigint' ? String(value) : value))}`,
    )
  }
  return only.changes[0]!
}

type Options = {
  readonly column?: Partial<Column> & { readonly scale?: number; readonly enum?: string }
  readonly source?: Partial<Source>
  readonly enums?: readonly EnumType[]
  /** Connect's schema of the value; wraps the record. */
  readonly schema?: object
}

/** What a value, given as JSON text, becomes in a column of that type: its cell, or why not. `absent`: not sent. */
export const cellOf = (type: string, json: string, options: Options = {}): CellValue | { bad: string } | 'absent' => {
  const probe = entity('T', ['id'], [column('id', 'ID!'), column('x', type, options.column)], options.source)
  const debezium = probe.source.format === 'DEBEZIUM'
  const row = `{"id":"1","x":${json}}`
  const payload = debezium
    ? `{"op":"c","before":null,"after":${row},"source":{"lsn":1,"ts_us":1795231419917869,"ts_ns":1795231419917869000}}`
    : row
  const rowSchema = {
    type: 'struct',
    field: 'after',
    fields: [
      { type: 'string', field: 'id' },
      { ...options.schema, field: 'x' },
    ],
  }
  const schema = debezium ? { type: 'struct', fields: [rowSchema] } : { ...rowSchema, field: undefined }
  const text = options.schema ? `{"schema":${JSON.stringify(schema)},"payload":${payload}}` : payload
  const [decoded] = createDecoder(model([probe], options.enums)).decode(recordOf(text), 0)
  if (decoded?.kind === 'bad') return { bad: decoded.reason }
  const change = changeOf([decoded!])
  return change.absent.includes('x') ? 'absent' : change.row.x!
}
