import type { LogRecord } from '../change.ts'

/** The first value of a record's header. */
export const headerBytes = ({ headers }: LogRecord, name: string): Buffer | string | undefined => {
  const value = headers[name]
  return typeof value === 'object' && !Buffer.isBuffer(value) ? value[0] : value
}

export const headerText = (record: LogRecord, name: string): string | undefined => headerBytes(record, name)?.toString()
