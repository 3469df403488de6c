/** `forebay quarantine`: what could not be decoded or applied, and why. Reads only. */
import type { Sql } from '../platform/postgres.ts'
import { present } from '../platform/present.ts'
import { withDatabase } from './database.ts'
import { type Input, print, UsageError, whole } from './verb.ts'

export type Quarantined = {
  readonly id: string
  /** `topic-partition-offset`. */
  readonly position: string
  readonly entity: string | null
  readonly reason: string
  readonly state: string
  readonly quarantinedAt: string
}
export type Record = Quarantined & {
  readonly recordTime: string | null
  readonly keyBytes: number | null
  readonly valueBytes: number | null
  readonly headers: readonly string[]
  /** Only when asked for: they may be personal data. Text, or `base64:` and that. */
  readonly key?: string | null
  readonly value?: string | null
}
export type ListOptions = { readonly entity?: string; readonly topic?: string; readonly limit: number }

/** The newest first. */
export const listQuarantine = (sql: Sql, { entity, topic, limit }: ListOptions): Promise<readonly Quarantined[]> => sql<
  Quarantined[]
>`
  select id::text, topic || '-' || partition || '-' || "offset" as position, entity, reason, state,
         forebay.iso(quarantined_at) as "quarantinedAt"
  from forebay.quarantine
  where (${entity ?? null}::text is null or entity = ${entity ?? null}) and (${topic ?? null}::text is null or topic = ${topic ?? null})
  order by quarantine.id desc limit ${limit}`

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

/** The verb. */
export const runQuarantine = async (input: Input): Promise<number> => {
  const [action, id, ...rest] = input.positionals
  if (action === 'list' && id === undefined) {
    const options = {
      limit: whole(input, 'limit') ?? 100,
      ...present({ entity: input.text('entity'), topic: input.text('topic') }),
    }
    const records = await withDatabase(input.config, 'quarantine', (sql) => listQuarantine(sql, options))
    if (input.flag('json')) print(JSON.stringify({ records }))
    else if (records.length === 0) print('Nothing is quarantined.')
    else
      for (const { id, position, entity, state, reason, quarantinedAt } of records)
        print(`${id.padStart(6)}  ${quarantinedAt}  ${state}  ${position}  ${entity ?? '-'}  ${reason}`)
    return 0
  }
  if (action === 'show' && id !== undefined && rest.length === 0) {
    if (!/^\d{1,18}$/.test(id)) throw new UsageError(`quarantine show ${id}: the id is the number that list shows`)
    const record = await withDatabase(input.config, 'quarantine', (sql) =>
      showQuarantined(sql, id, input.flag('values')),
    )
    if (!record) throw new Error(`No record ${id} is quarantined; see: forebay quarantine list`)
    if (input.flag('json')) print(JSON.stringify(record))
    else
      for (const [name, value] of Object.entries(record))
        print(`${name.padEnd(14)} ${Array.isArray(value) ? value.join(', ') : value}`)
    return 0
  }
  throw new UsageError('write: forebay quarantine list, or: forebay quarantine show <id>')
}
