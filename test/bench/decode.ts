/**
 * Decoding alone, without services: Debezium's JSON, and the same rows in CloudEvents, each in turn with its limit, which is parsing
 * the same bytes. Alternating rounds of one process, so that both have the same machine.
 */
import { join } from 'node:path'
import type { LogRecord } from '../../src/ingest/change.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import { loadSchema } from '../../src/model/load.ts'
import type { Model } from '../../src/model/model.ts'
import { changes, type Message } from './changes.ts'
import { type Figure, quantile, report } from './report.ts'

export const benchDecode = async ({ records, rounds }: { readonly records: number; readonly rounds: number }) => {
  const loaded = await loadSchema(join(import.meta.dirname, 'schema'))
  if (!loaded.ok) throw new Error('the bench schema has faults: forebay check says which')
  const messages = [...changes(records, Math.ceil(records / 20))]
  const debezium = messages.map(({ value, ...rest }, n) => recordOf(rest, value, n))
  const cloud = messages.flatMap(cloudEvent)
  report('decode', [
    ...paired('Debezium JSON', loaded.model, debezium, rounds),
    ...paired('CloudEvent', inCloudEvents(loaded.model), cloud, rounds),
  ])
}

const recordOf = ({ topic, key }: Omit<Message, 'value'>, value: string, n: number): LogRecord => ({
  topic,
  partition: 0,
  offset: BigInt(n),
  timestamp: 1_795_000_000_000,
  headers: {},
  key: Buffer.from(key),
  value: Buffer.from(value),
})

const cloudEvent = ({ value, ...rest }: Message, n: number): readonly LogRecord[] => {
  const { after, source } = JSON.parse(value) as { after: object | null; source: { ts_ms: number } }
  if (after === null) return []
  const time = new Date(source.ts_ms).toISOString()
  const attributes = { specversion: '1.0', id: `e${n}`, source: '/bench', type: 'row', time }
  return [recordOf(rest, JSON.stringify({ ...attributes, datacontenttype: 'application/json', data: after }), n)]
}
const inCloudEvents = (model: Model): Model => ({
  ...model,
  entities: new Map(
    [...model.entities].map(([name, entity]) => [
      name,
      { ...entity, source: { ...entity.source, format: 'CLOUDEVENTS' as const } },
    ]),
  ),
})

/** Microseconds a record: the median of the rounds. */
const paired = (name: string, model: Model, records: readonly LogRecord[], rounds: number): readonly Figure[] => {
  const decoder = createDecoder(model)
  const decode = (record: LogRecord): void => {
    const [decoded] = decoder.decode(record, 0)
    if (decoded?.kind !== 'changes') throw new Error(`${name} was not decoded: ${decoded?.kind}`)
  }
  const parse = ({ value }: LogRecord): void => void JSON.parse(value!.toString('utf8'))
  const micros = (work: (record: LogRecord) => void): number => {
    const began = performance.now()
    for (const record of records) work(record)
    return ((performance.now() - began) * 1_000) / records.length
  }
  micros(decode)
  micros(parse)
  const turns = Array.from({ length: rounds }, () => ({ parsed: micros(parse), decoded: micros(decode) }))
  const [parsed, decoded] = [
    quantile(
      turns.map((turn) => turn.parsed),
      0.5,
    ),
    quantile(
      turns.map((turn) => turn.decoded),
      0.5,
    ),
  ]
  const against = `bare JSON.parse of the same bytes: ${parsed.toFixed(2)} µs, ${(parsed / decoded).toFixed(2)}× of it`
  return [{ name, value: decoded, unit: 'µs a record', against }]
}
