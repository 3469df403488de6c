/**
 * forebay/position: the token by which a writer reads its own write. Send it as the header `Forebay-After` with a query: the answer then
 * holds the record, or says STALE. This file needs nothing else and runs anywhere; the formula is small enough for any language:
 *
 *   at:<topic>-<partition>-<offset>     a record, as the log answered the producer: an answer holds it and all before it of its partition
 *   lsn:<source>:<lsn>                  a commit: pg_current_wal_lsn() of the source's Postgres, read after the commit. <source> is what its
 *                                       topics begin with: topic.prefix of a Debezium connector, or the connection's name
 *
 * Several are parted by commas.
 */

/** Where a record was put. Of several records of a partition the last one is enough. */
export type WrittenRecord = {
  readonly topic: string
  readonly partition: number
  readonly offset: string | number | bigint
}

const topicName = /^[\w.-]{1,249}$/
const mostTokens = 64

/** `topic-partition-offset`, as POST /ingest answers it. */
const parse = (text: string): WrittenRecord => {
  const [, topic, partition, offset] = /^(.+)-(\d{1,9})-(\d{1,18})$/.exec(text) ?? []
  if (topic === undefined) throw new RangeError(`no record is at ${text}`)
  return { topic, partition: Number(partition), offset: offset! }
}
const isWhole = (offset: WrittenRecord['offset']): boolean => /^\d{1,18}$/.test(String(offset))

/**
 * A record is what the producer was answered, or its text as POST /ingest answers it. Throws RangeError for what no log could have answered, or
 * for more partitions than one request may name.
 */
export const positionOf = (...records: readonly (WrittenRecord | string)[]): string => {
  if (records.length === 0) throw new RangeError('positionOf needs a record')
  const last = new Map<string, bigint>()
  for (const record of records) {
    const { topic, partition, offset } = typeof record === 'string' ? parse(record) : record
    if (!topicName.test(topic) || !Number.isInteger(partition) || partition < 0 || !isWhole(offset))
      throw new RangeError(`no record is at ${topic}-${partition}-${offset}`)
    const number = BigInt(offset)
    const name = `${topic}-${partition}`
    const known = last.get(name)
    if (known === undefined || known < number) last.set(name, number)
  }
  if (last.size > mostTokens)
    throw new RangeError(`a request names at most ${mostTokens} partitions, these records are in ${last.size}`)
  return [...last].map(([name, offset]) => `at:${name}-${offset}`).join(',')
}

/** `lsn`: what `select pg_current_wal_lsn()` answered after the commit. Throws RangeError where it is none. */
export const positionOfCommit = (source: string, lsn: string): string => {
  if (!topicName.test(source) || !/^[\dA-F]{1,8}\/[\dA-F]{1,8}$/i.test(lsn))
    throw new RangeError(`no commit of ${source} is at ${lsn}`)
  return `lsn:${source}:${lsn}`
}

/** The token of several: an answer holds what each of them names. What an answer gave (`Forebay-Position`) may be among them. */
export const allOf = (...tokens: readonly string[]): string => tokens.join(',')
