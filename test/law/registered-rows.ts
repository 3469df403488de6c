/** A write of the source by schemas that a registry has: as Debezium's converter and as a service would write it. */
import type { CellValue } from '../../src/ingest/change.ts'
import type { Column, Entity } from '../../src/model/model.ts'
import { encodeAvro } from '../ingest/avro-encoder.ts'
import { framed } from '../ingest/registered.ts'
import { type SourceWrite, sourceText } from './debezium.ts'
import type { Row } from './seen.ts'
import { micros } from './values.ts'

const variableScale = {
  type: 'record',
  name: 'VariableScaleDecimal',
  namespace: 'io.debezium.data',
  'connect.name': 'io.debezium.data.VariableScaleDecimal',
  fields: [
    { name: 'scale', type: 'int' },
    { name: 'value', type: 'bytes' },
  ],
}
/** `defined`: named types that the schema has by now; a name stands in for its second use. */
const avroType = (column: Column, debezium: boolean, defined: Set<string>): unknown => {
  const { type } = column
  if (type.kind === 'enum') return 'string'
  switch (type.scalar) {
    case 'ID':
    case 'String':
      return 'string'
    case 'Int':
      return 'int'
    case 'Long':
      return 'long'
    case 'Float':
      return 'double'
    case 'Boolean':
      return 'boolean'
    case 'Decimal': {
      if (type.scale !== undefined) return { type: 'bytes', logicalType: 'decimal', precision: 30, scale: type.scale }
      const name = `${variableScale.namespace}.${variableScale.name}`
      if (defined.has(name)) return name
      defined.add(name)
      return variableScale
    }
    case 'DateTime':
      return debezium
        ? { type: 'long', 'connect.name': 'io.debezium.time.MicroTimestamp' }
        : { type: 'long', logicalType: 'timestamp-micros' }
    case 'Date':
      return debezium ? { type: 'int', 'connect.name': 'io.debezium.time.Date' } : { type: 'int', logicalType: 'date' }
    case 'JSON':
      return { type: 'string', 'connect.name': 'io.debezium.data.Json' }
  }
}

export const avroRow = (entity: Entity, names: readonly string[], name: string, defined = new Set<string>()) => ({
  type: 'record',
  name,
  fields: entity.columns
    .filter((column) => names.includes(column.name))
    .map((column) => {
      const one = avroType(column, entity.source.format === 'DEBEZIUM_AVRO', defined)
      const type = column.list ? { type: 'array', items: one } : one
      const key = entity.key.includes(column.name)
      return { name: column.path.at(-1)!, type: key ? type : ['null', type] }
    }),
})

export const valueSchema = (entity: Entity): object => {
  const row = avroRow(
    entity,
    entity.columns.map(({ name }) => name),
    'Value',
  )
  const long = { type: 'long' }
  switch (entity.source.format) {
    case 'AVRO':
      return {
        type: 'record',
        name: 'Event',
        fields: [
          { name: 'op', type: { type: 'enum', name: 'Op', symbols: ['put', 'drop'] } },
          { name: 'rev', type: 'long' },
          { name: 'row', type: row },
        ],
      }
    case 'JSON_SCHEMA':
      return { json: jsonSchema(entity) }
    case 'CLOUDEVENTS_AVRO':
      return row
    default:
      return {
        type: 'record',
        name: 'Envelope',
        fields: [
          { name: 'before', type: ['null', row] },
          { name: 'after', type: ['null', 'Value'] },
          {
            name: 'source',
            type: {
              type: 'record',
              name: 'Source',
              fields: [
                { name: 'lsn', type: ['null', 'long'] },
                { name: 'ts_us', type: 'long' },
              ],
            },
          },
          { name: 'op', type: 'string' },
          { name: 'ts_ms', type: ['null', long] },
        ],
      }
  }
}

export const avroCells = (entity: Entity, row: Row): object =>
  Object.fromEntries(entity.columns.map((column) => [column.path.at(-1)!, avroCell(column, row[column.name] ?? null)]))
export const avroCell = (column: Column, value: CellValue): unknown => {
  if (value === null) return null
  if (Array.isArray(value)) return value
  if (typeof value === 'object' && 'json' in value) return value.json
  if (column.type.kind === 'enum') return sourceText(column, value)
  switch (column.type.scalar) {
    case 'Long':
      return BigInt(value as string)
    case 'Decimal': {
      const scale = column.type.scale ?? String(value).split('.')[1]?.length ?? 0
      const bytes = twosComplement(unscaled(String(value), scale))
      return column.type.scale === undefined ? { scale, value: bytes } : bytes
    }
    case 'DateTime':
      return Number(micros(String(value)))
    case 'Date':
      return Date.parse(`${String(value)}T00:00:00Z`) / 86_400_000
    default:
      return value
  }
}

const unscaled = (decimal: string, scale: number): bigint => {
  const [whole = '', fraction = ''] = decimal.split('.')
  return BigInt(`${whole}${fraction.padEnd(scale, '0')}`)
}
/** Big end first, with one sign bit at least. */
const twosComplement = (value: bigint): Buffer => {
  let length = 1
  while (BigInt.asIntN(8 * length, value) !== value) length++
  return Buffer.from(
    BigInt.asUintN(8 * length, value)
      .toString(16)
      .padStart(2 * length, '0'),
    'hex',
  )
}

export const avroValue = (id: number, { entity }: SourceWrite, value: object): Buffer =>
  framed(id, encodeAvro(valueSchema(entity), value))

/** Debezium's, of which only the row's old image is left out: by default a source doesn't send it. */
export const envelopeOf = ({ entity, row, op, lsn, key }: SourceWrite) => ({
  before: op === 'd' ? avroCells(entity, key) : null,
  after: row && avroCells(entity, row),
  source: { lsn, ts_us: 1_790_000_000_000_000n + lsn * 1000n },
  op,
  ts_ms: null,
})

const jsonSchema = (entity: Entity) => ({
  type: 'object',
  properties: {
    op: { enum: ['put', 'drop'] },
    rev: { type: 'integer' },
    row: {
      type: 'object',
      properties: Object.fromEntries(
        entity.columns.map(({ path, type, list }) => {
          const scalar = type.kind === 'enum' ? 'String' : type.scalar
          const one = { Int: { type: 'integer' }, Boolean: { type: 'boolean' }, Float: { type: 'number' }, JSON: {} }[
            scalar as 'Int'
          ] ?? { type: 'string' }
          return [path.at(-1)!, list ? { type: 'array', items: one } : { oneOf: [{ type: 'null' }, one] }]
        }),
      ),
    },
  },
})
