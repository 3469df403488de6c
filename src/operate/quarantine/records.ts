/** What is in quarantine, and why. Reads only. */
import type { Sql } from '../../platform/postgres.ts'

export const states = ['PARKED', 'WAITING', 'SUPERSEDED', 'REDRIVEN', 'DROPPED'] as const
export type State = (typeof states)[number]

export type Quarantined = {
  readonly id: string
  /** `topic-partition-offset`. */
  readonly position: string
  readonly entity: string | null
  readonly reason: string
  readonly state: State
  readonly quarantinedAt: string
}
export type Record = Quarantined & {
  readonly recordTime: string | null
  readonly settledAt: string | null
  /** Of its partition, when it was read. */
  readonly epoch: number
  /** Its key could be told, so only that key waits for it; else its partition does. */
  readonly keyTold: boolean
  readonly keyBytes: number | null
  readonly valueBytes: number | null
  readonly headers: readonly string[]
  /** Only when asked for: they may be personal data. Text, or `base64:` and that. */
  readonly key?: string | null
  readonly value?: string | null
}
export type ListOptions = {
  readonly entity?: string
  readonly topic?: string
  readonly states: readonly State[]
  readonly limit: number
}

/** The newest first. */
export const listQuarantine = (
  sql: Sql,
  { entity, topic, states, limit }: ListOptions,
): Promise<readonly Quarantined[]> => sql<Quarantined[]>`
  select id::text, topic || '-' || partition || '-' || "offset" as position, entity, reason, state,
         forebay.iso(quarantined_at) as "quarantinedAt"
  from forebay.quarantine
  where (${entity ?? null}::text is null or entity = ${entity ?? null}) and (${topic ?? null}::text is null or topic = ${topic ?? null})
    and state = any(${states as State[]}::text[])
  order by quarantine.id desc limit ${limit}`

/** Those of these ids that no record ever had. */
export const absentFrom = async (sql: Sql, ids: readonly string[]): Promise<readonly string[]> => {
  const rows = await sql<{ id: string }[]>`
    select id from unnest(${ids as string[]}::text[]) as given(id)
    where not exists (select from forebay.quarantine q where q.id = given.id::bigint)`
  return rows.map(({ id }) => id)
}

/** One record, undefined when there is none of that id. `values`: with its key and value. */
export const showQuarantined = async (sql: Sql, id: string, values: boolean): Promise<Record | undefined> => {
  type Row = Omit<Record, 'key' | 'value' | 'headers'> & {
    key: Buffer | null
    value: Buffer | null
    headers: string[] | null
  }
  const [row] = await sql<Row[]>`
    select id::text, topic || '-' || partition || '-' || "offset" as position, entity, reason, state,
           forebay.iso(quarantined_at) as "quarantinedAt", forebay.iso(record_time) as "recordTime",
           forebay.iso(settled_at) as "settledAt", epoch, entity_key is not null as "keyTold",
           length(key) as "keyBytes", length(value) as "valueBytes",
           case jsonb_typeof(headers) when 'object' then array(select jsonb_object_keys(headers)) end as headers,
           case when ${values} then key end as key, case when ${values} then value end as value
    from forebay.quarantine where id = ${id}::bigint`
  if (!row) return undefined
  const { key, value, headers, ...rest } = row
  return { ...rest, headers: headers ?? [], ...(values ? { key: readable(key), value: readable(value) } : {}) }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
const readable = (bytes: Buffer | null): string | null => {
  if (bytes === null) return null
  try {
    return utf8.decode(bytes)
  } catch {
    return `base64:${bytes.toString('base64')}`
  }
}
