import { readFileSync } from 'node:fs'
import type { LogRecord } from '../../src/ingest/change.ts'

const samples = new URL('../samples/', import.meta.url)

/** Captured records of one file, their values' bytes as they were (numbers of any length included). */
export const sampleRecords = (file: string): LogRecord[] =>
  readFileSync(new URL(file, samples), 'utf8')
    .split('\n')
    .filter((line) => line.length > 0)
    .map(recordOfLine)

type Line = {
  readonly topic: string
  readonly partition: { rawJSON: string }
  readonly offset: string
  readonly ts: string
  readonly headers: Record<string, string>
  readonly key: unknown
  readonly value: unknown
}

const recordOfLine = (line: string): LogRecord => {
  const parsed = JSON.parse(line, rawNumbers as (key: string, value: unknown) => unknown) as Line
  return {
    topic: parsed.topic,
    partition: Number(parsed.partition.rawJSON),
    offset: BigInt(parsed.offset),
    timestamp: Number(parsed.ts),
    headers: parsed.headers,
    key: bytesOf(parsed.key),
    value: bytesOf(parsed.value),
  }
}
const bytesOf = (value: unknown): Buffer | null => (value === null ? null : Buffer.from(JSON.stringify(value)))

const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown }
const rawNumbers = (_key: string, value: unknown, { source }: { source?: string }): unknown =>
  typeof value === 'number' && source !== undefined ? rawJSON(source) : value

/** A record made for a test. Values that are not text or bytes are written as JSON. */
export const recordOf = (
  value: unknown,
  more: Partial<Omit<LogRecord, 'value' | 'key'>> & { key?: unknown } = {},
): LogRecord => ({
  topic: 'topic',
  partition: 0,
  offset: 7n,
  timestamp: 1_795_000_000_000,
  headers: {},
  ...more,
  key: asBytes(more.key ?? null),
  value: asBytes(value),
})
const asBytes = (value: unknown): Buffer | null => {
  if (value === null || Buffer.isBuffer(value)) return value
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
}
