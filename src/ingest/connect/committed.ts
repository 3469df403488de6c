/**
 * How far a Debezium connector is by its own account: a record of the topic in which Kafka Connect keeps offsets. It is written only after
 * the broker had acknowledged everything the connector sent before.
 */
export type Account = {
  readonly connector: string
  /** The connector's topic.prefix. */
  readonly server: string
  /** Gone: the connector's offsets were deleted. */
  readonly committed: Committed | 'GONE'
}
/**
 * `lsn`: every transaction that committed at the source up to there has been sent. Commits come in their order, so the place of any change that
 * was sent says so of all that committed before it. Null: the connector's source has no lsn.
 */
export type Committed = { readonly lsn: bigint | null; readonly snapshot: boolean }

/** Undefined: it is no Debezium connector's. */
export const readAccount = (key: Buffer | null, value: Buffer | null): Account | undefined => {
  const [connector, partition] = asArray(parsed(key))
  const { server } = asObject(partition)
  if (typeof connector !== 'string' || typeof server !== 'string') return undefined
  if (value === null) return { connector, server, committed: 'GONE' }
  const offset = asObject(parsed(value))
  const places = [offset.lsn_commit, offset.lsn_proc].filter((place) => Number.isSafeInteger(place)) as number[]
  return {
    connector,
    server,
    committed: { lsn: places.length === 0 ? null : BigInt(Math.max(...places)), snapshot: Boolean(offset.snapshot) },
  }
}

const parsed = (bytes: Buffer | null): unknown => {
  try {
    return bytes === null ? undefined : JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}
const asArray = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
const asObject = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
