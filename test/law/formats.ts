/**
 * A write of the source in each format that an entity may declare. Written by other means than it is read: Avro's own encoder,
 * decimals by arithmetic of their own.
 */
import type { CellValue, LogRecord } from '../../src/ingest/change.ts'
import type { Schemas } from '../../src/ingest/decode/registered.ts'
import type { Column, Entity, Format, Model } from '../../src/model/model.ts'
import { encodeAvro } from '../ingest/avro-encoder.ts'
import { framed, schemasOf } from '../ingest/registered.ts'
import { debeziumRecords, type SourceWrite } from './debezium.ts'
import type { Draw } from './draw.ts'
import type { Row } from './seen.ts'
import { micros } from './values.ts'

type Sent = Omit<LogRecord, 'offset'>

const EVENTS = 'version: "rev", events: [{ type: "put", op: UPSERT, at: "AT" }, { type: "drop", op: DELETE, at: "AT" }]'
/** What a source says beside its topic. */
const WORDS: Readonly<Record<Format, string>> = {
  DEBEZIUM: '',
  DEBEZIUM_AVRO: '',
  AVRO: `typeAt: "op", ${EVENTS.replaceAll('AT', 'row')}`,
  JSON: `typeAt: "op", ${EVENTS.replaceAll('AT', 'row')}`,
  JSON_SCHEMA: `typeAt: "op", ${EVENTS.replaceAll('AT', 'row')}`,
  CLOUDEVENTS: `typeAt: "type", ${EVENTS.replaceAll('AT', 'data')}`,
  CLOUDEVENTS_AVRO: `typeAt: "type", ${EVENTS.replaceAll('AT', 'data')}`,
}
export const FORMATS = Object.keys(WORDS) as readonly Format[]
export const sourceWords = (format: Format): string => `format: ${format}${WORDS[format] && `, ${WORDS[format]}`}`
export const drawFormat = (draw: Draw): Format => (draw.oneIn(2) ? draw.pick(FORMATS) : 'DEBEZIUM')

/** Reads of an incremental snapshot have no version, which only Debezium's own order makes up for. */
export const isDebeziumJson = ({ source }: Entity): boolean => source.format === 'DEBEZIUM'

/** `schemas`: what the records of a model's entities are read by. */
export const formatsOf = (model: Model) => {
  const entities = [...model.entities.values()]
  const ids = new Map(entities.map(({ name }, index) => [name, 10 * index + 1]))
  const known: Record<string, object> = {}
  for (const entity of entities) {
    const id = ids.get(entity.name)!
    Object.assign(known, { [id]: valueSchema(entity), [id + 1]: avroRow(entity, entity.key, 'Key') })
  }
  const schemas: Schemas = schemasOf(known)
  const encode = (write: SourceWrite, partitions: number, incremental = false): readonly Sent[] => {
    const { format } = write.entity.source
    const [plain, ...rest] = debeziumRecords(write, partitions, incremental)
    const id = ids.get(write.entity.name)!
    switch (format) {
      case 'DEBEZIUM':
        return write.lsn % 2n === 0n || write.left?.length ? [plain!, ...rest] : [wrapped(plain!, write), ...rest]
      case 'DEBEZIUM_AVRO': {
        const key = framed(
          id + 1,
          encodeAvro(avroRow(write.entity, write.entity.key, 'Key'), avroCells(write.entity, write.key)),
        )
        return [
          { ...plain!, key, value: avroValue(id, write, envelopeOf(write)) },
          ...rest.map((one) => ({ ...one, key })),
        ]
      }
      case 'AVRO': {
        const event = { ...headOf(write), row: avroCells(write.entity, write.row ?? write.key) }
        const value = encodeAvro(valueSchema(write.entity), event)
        const header = { __value_schema_id: framed(id, Buffer.alloc(0)) }
        return [write.lsn % 2n === 0n ? { ...plain!, value: framed(id, value) } : { ...plain!, value, headers: header }]
      }
      case 'JSON':
        return [{ ...plain!, value: text({ ...headOf(write), row: jsonRow(write) }) }]
      case 'JSON_SCHEMA':
        return [{ ...plain!, value: framed(id, text({ ...headOf(write), row: jsonRow(write) })) }]
      case 'CLOUDEVENTS':
        return [
          write.lsn % 2n === 0n ? structured(plain!, write) : { ...binary(plain!, write), value: text(jsonRow(write)) },
        ]
      case 'CLOUDEVENTS_AVRO': {
        const data = encodeAvro(valueSchema(write.entity), avroCells(write.entity, write.row ?? write.key))
        return [{ ...binary(plain!, write, 'application/avro'), value: framed(id, data) }]
      }
    }
  }
  return { schemas, encode }
}

// ── events ──────────────────────────────────────────────────────────────────────────────────────────────────────────
const headOf = ({ row, lsn }: SourceWrite) => ({ op: row ? 'put' : 'drop', rev: lsn })
const jsonRow = ({ entity, row, key }: SourceWrite) =>
  Object.fromEntries(
    entity.columns
      .filter(({ name }) => name in (row ?? key))
      .map((c) => [c.path.at(-1)!, (row ?? key)[c.name] ?? null]),
  )

const attributesOf = (write: SourceWrite) => {
  const { op, rev } = headOf(write)
  return { specversion: '1.0', id: `${rev}`, source: '/law', type: op, rev: `${rev}` }
}
const structured = (plain: Sent, write: SourceWrite): Sent => ({
  ...plain,
  value: text({ ...attributesOf(write), data: jsonRow(write) }),
})
const binary = (plain: Sent, write: SourceWrite, type = 'application/json'): Sent => {
  const attributes = Object.entries(attributesOf(write)).map(([name, value]) => [`ce_${name}`, Buffer.from(value)])
  return { ...plain, headers: { ...Object.fromEntries(attributes), 'content-type': Buffer.from(type) } }
}

/** JSON with bare integers of any size, and the text of JSON values as it stands. */
const text = (value: unknown): Buffer => Buffer.from(write(value))
const write = (value: unknown): string => {
  if (typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if ('json' in value) return String(value.json)
  return `{${Object.entries(value)
    .map(([name, inner]) => `${JSON.stringify(name)}:${write(inner)}`)
    .join(',')}}`
}

// ── Avro ────────────────────────────────────────────────────────────────────────────────────────────────────────────
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

const avroRow = (entity: Entity, names: readonly string[], name: string, defined = new Set<string>()) => ({
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

const valueSchema = (entity: Entity): object => {
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

const avroCells = (entity: Entity, row: Row): object =>
  Object.fromEntries(entity.columns.map((column) => [column.path.at(-1)!, avroCell(column, row[column.name] ?? null)]))
const avroCell = (column: Column, value: CellValue): unknown => {
  if (value === null) return null
  if (Array.isArray(value)) return value
  if (typeof value === 'object' && 'json' in value) return value.json
  if (column.type.kind === 'enum') return value
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

const avroValue = (id: number, { entity }: SourceWrite, value: object): Buffer =>
  framed(id, encodeAvro(valueSchema(entity), value))

/** Debezium's, of which only the row's old image is left out: by default a source doesn't send it. */
const envelopeOf = ({ entity, row, op, lsn, key }: SourceWrite) => ({
  before: op === 'd' ? avroCells(entity, key) : null,
  after: row && avroCells(entity, row),
  source: { lsn, ts_us: 1_790_000_000_000_000n + lsn * 1000n },
  op,
  ts_ms: null,
})

// ── schemas beside JSON ─────────────────────────────────────────────────────────────────────────────────────────────
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

/** As JsonConverter writes it with `schemas.enable`: decimals as bytes, days and instants as numbers, what they are beside it. */
const wrapped = (plain: Sent, { entity, row }: SourceWrite): Sent => {
  const value = JSON.parse(plain.value!.toString(), keepNumbers as (key: string, value: unknown) => unknown) as {
    after: unknown
  }
  const fields = entity.columns.map((column) => ({ field: column.path.at(-1)!, ...connectType(column) }))
  const schema = { type: 'struct', fields: [{ type: 'struct', field: 'after', optional: true, fields }] }
  if (row)
    value.after = Object.fromEntries(
      entity.columns.map((column) => [column.path.at(-1)!, connectCell(column, row[column.name] ?? null)]),
    )
  return { ...plain, value: Buffer.from(`{"schema":${JSON.stringify(schema)},"payload":${JSON.stringify(value)}}`) }
}
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown }
const keepNumbers = (_: string, value: unknown, { source }: { source?: string }): unknown =>
  typeof value === 'number' && source !== undefined ? rawJSON(source) : value

const connectType = ({ type, list }: Column): object => {
  const scalar = type.kind === 'enum' ? 'String' : type.scalar
  const scale = type.kind === 'scalar' ? type.scale : undefined
  const one: Record<string, object> = {
    Int: { type: 'int32' },
    Long: { type: 'int64' },
    Float: { type: 'double' },
    Boolean: { type: 'boolean' },
    DateTime: { type: 'int64', name: 'io.debezium.time.MicroTimestamp' },
    Date: { type: 'int32', name: 'io.debezium.time.Date' },
    JSON: { type: 'string', name: 'io.debezium.data.Json' },
    Decimal:
      scale === undefined
        ? { type: 'struct', name: 'io.debezium.data.VariableScaleDecimal' }
        : { type: 'bytes', name: 'org.apache.kafka.connect.data.Decimal', parameters: { scale: String(scale) } },
  }
  const found = one[scalar] ?? { type: 'string' }
  return list ? { type: 'array', items: found, optional: true } : { ...found, optional: true }
}
const connectCell = (column: Column, value: CellValue): unknown => {
  const cell = avroCell(column, value)
  if (typeof cell === 'bigint') return rawJSON(String(cell))
  if (Buffer.isBuffer(cell)) return cell.toString('base64')
  if (typeof cell === 'object' && cell !== null && 'scale' in cell && 'value' in cell)
    return { scale: cell.scale, value: (cell.value as Buffer).toString('base64') }
  return cell
}
