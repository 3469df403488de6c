/** What a row keeps of where its last change came from. */
import type { LogRecord, Provenance } from '../change.ts'
import { headerText } from './header.ts'

/** A W3C traceparent: version, trace, span, flags. */
const traceparent = /\b[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\b/
const longestTx = 200

/** `said`: the trace that the record itself carries, which may stand within other text; the header goes first. */
export const provenanceOf = (record: LogRecord, said: unknown, tx: unknown): Provenance => {
  const trace = traceIn(headerText(record, 'traceparent')) ?? traceIn(said)
  const id = typeof tx === 'number' || typeof tx === 'string' ? String(tx).slice(0, longestTx) : undefined
  return { ...(trace === undefined ? {} : { trace }), ...(id === undefined || id === '' ? {} : { tx: id }) }
}

const traceIn = (text: unknown): string | undefined =>
  typeof text === 'string' ? traceparent.exec(text)?.[0] : undefined
