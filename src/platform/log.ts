/**
 * The log: one JSON object a line on standard error, or one short line where that is a terminal.
 * An event is a fixed phrase; what varies goes into fields. Fields are names, counts, positions and codes, never values of rows.
 */
import pino from 'pino'
import { codeOf, isDataError } from './postgres.ts'

export type Fields = Readonly<Record<string, unknown>>
export type Log = {
  debug(event: string, fields?: Fields): void
  info(event: string, fields?: Fields): void
  warn(event: string, fields?: Fields): void
  error(event: string, fields?: Fields): void
}
type Line = Record<string, unknown> & { readonly level: string; readonly time: string; readonly event: string }

const colours: Record<string, string> = { debug: '\x1b[2m', info: '', warn: '\x1b[33m', error: '\x1b[31m' }

/** `09:30:01 warn  redis away  reason="connect ECONNREFUSED"` */
const forPeople = (json: string): string => {
  const { level, time, event, ...fields } = JSON.parse(json) as Line
  const rest = Object.entries(fields).map(
    ([name, value]) => `  ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  return `${colours[level] ?? ''}${time.slice(11, 19)} ${level.padEnd(5)} ${event}${rest.join('')}\x1b[0m\n`
}
const terminal = { write: (json: string) => process.stderr.write(forPeople(json)) }

const logger = pino(
  {
    level: process.env.FOREBAY_LOG || (process.env.VITEST ? 'silent' : 'info'),
    base: null,
    messageKey: 'event',
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { error: (error: unknown) => describeError(error) },
  },
  process.stderr.isTTY ? terminal : pino.destination({ dest: 2, sync: true }),
)

/** `error` among the fields is described by `describeError`. FOREBAY_LOG sets the least level (`info`; `silent` for none). */
export const log: Log = {
  debug: (event, fields = {}) => logger.debug(fields, event),
  info: (event, fields = {}) => logger.info(fields, event),
  warn: (event, fields = {}) => logger.warn(fields, event),
  error: (event, fields = {}) => logger.error(fields, event),
}

/**
 * What may be said of an error: name, code, message, where. Postgres repeats the offending value in its messages about data
 * and a URL may hold a password: neither is said.
 */
export const describeError = (error: unknown): Fields => {
  if (!(error instanceof Error)) return { message: withoutPasswords(String(error)) }
  const code = codeOf(error)
  const message = isDataError(error) ? 'a statement or its data was refused' : withoutPasswords(error.message)
  const at = error.stack
    ?.split('\n')
    .filter((line) => line.startsWith('    at '))
    .slice(0, 6)
    .map((line) => line.trim().slice(3))
  return {
    name: error.name,
    ...(code ? { code } : {}),
    message,
    ...(at ? { at } : {}),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  }
}

const withoutPasswords = (text: string): string => text.replace(/:\/\/[^\s/@]*@/g, '://***@')
