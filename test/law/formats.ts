/**
 * A write of the source in each format that an entity may declare. Written by other means than it is read: Avro's own encoder,
 * decimals by arithmetic of their own.
 */
import type { CellValue, LogRecord } from '../../src/ingest/change.ts'
import type { Schemas } from '../../src/ingest/decode/registered.ts'
import type { Column, Entity, Format, Model } from '../../src/model/model.ts'
import { encodeAvro } from '../ingest/avro-encoder.ts'
import { framed, schemasOf } from '../ingest/registered.ts'
import { debeziumRecords, type SourceWrite, sourceText } from './debezium.ts'
import type { Draw } from './draw.ts'
import { avroCell, avroCells, avroRow, avroValue, envelopeOf, valueSchema } from './registered-rows.ts'

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
      .map((c) => [c.path.at(-1)!, sourceText(c, (row ?? key)[c.name] ?? null)]),
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
