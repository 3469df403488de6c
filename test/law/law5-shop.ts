/** A small shop for law 5: who writes to its log, and what an answer over HTTP says of it. */
import { append } from '../../src/ingest/source/journal.ts'
import type { Sql } from '../../src/platform/postgres.ts'
import type { WrittenRecord } from '../../src/position.ts'
import type { History, State } from './law5-history.ts'

/** `quiet` is a topic to which nobody ever writes. */
export const declaration = `
extend enum Role { CLERK }
extend schema @domain(name: "shop", owner: "test")
type Account @entity(domain: "shop", key: "id", source: { topic: "accounts" }) {
  id: ID!
  n: Int!
  items: [Item!]! @join(to: "accountId")
  quiet: Quiet @join(from: "id", to: "id")
}
type Item @entity(domain: "shop", key: "id", source: { topic: "items" }) {
  id: ID!
  accountId: ID!
  labelId: ID!
  n: Int!
  label: Label @join(from: "labelId")
}
type Label @entity(domain: "shop", key: "id", source: { topic: "labels" }) { id: ID!, n: Int! }
type Quiet @entity(domain: "shop", key: "id", source: { topic: "quiet" }) { id: ID!, n: Int! }
type Sheet @view(of: "Account", maxLag: "PT2S") @allow(roles: [CLERK]) {
  id: ID!
  n: Int!
  quiet: Int @from(path: "quiet.n")
  items: [SheetItem!]! @list(of: "items", first: 60, orderBy: { id: ASC })
}
type SheetItem @part(of: "Item") { id: ID!, n: Int!, label: Int @from(path: "label.n") }
`
export const accounts = ['a0', 'a1', 'a2', 'a3', 'a4']
export const labels = ['l0', 'l1', 'l2']
const itemsEach = 8
export const items = accounts.flatMap((account) => Array.from({ length: itemsEach }, (_, i) => `i${account}-${i}`))
const accountOf = (item: string): string => item.slice(1, item.indexOf('-'))
const labelOf = (item: string): string => labels[Number(item.at(-1)) % labels.length]!
const topics = { a: 'accounts', i: 'items', l: 'labels' } as const
/** The clock of these sources is an hour ahead: of records' own times nothing follows. */
const aheadMs = { accounts: 3_600_000, items: 0, labels: 3_600_000 } as const

export type Writer = {
  /** Writes a change as Debezium would, and notes when it was surely in the log. Answers with where it is. */
  write(key: string, state: State): Promise<{ readonly position: WrittenRecord; readonly at: number }>
  /** The state that follows for the key. */
  next(): number
}
export const startWriter = (sql: Sql, history: History): Writer => {
  let lsn = 0
  let states = 0
  return {
    next: () => {
      states += 1
      return states
    },
    async write(key, state) {
      const topic = topics[key[0] as keyof typeof topics]
      const id = { id: key }
      const row = topic === 'items' ? { ...id, account_id: accountOf(key), label_id: labelOf(key) } : id
      lsn += 1
      const source = { lsn, ts_us: (Date.now() + aheadMs[topic]) * 1_000 }
      const change =
        state === null
          ? { op: 'd', before: id, after: null, source }
          : { op: 'u', before: null, after: { ...row, n: state === 'BAD' ? 'many' : state }, source }
      const done = history.begin(key, state)
      const record = { key: Buffer.from(JSON.stringify(id)), value: Buffer.from(JSON.stringify(change)) }
      const [position] = await sql.begin((tx) => append(tx, topic, [record]))
      const [now] = await sql<{ ms: number }[]>`select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`
      done(now!.ms)
      return { position: position!, at: now!.ms }
    },
  }
}

const selection = 'id n quiet items { id n label } _freshness { asOf state }'
export const byKey = (id: string): string => `{ sheet(id: "${id}") { ${selection} } }`
/** Of fields that no other row's change touches. */
export const alone = (id: string): string => `{ sheet(id: "${id}") { id n _freshness { asOf state } } }`
export const all = `{ sheets(first: 50) { edges { node { ${selection} } } } }`

type Row = {
  readonly id: string
  readonly n: number
  readonly items?: readonly { readonly id: string; readonly n: number; readonly label: number | null }[]
  readonly _freshness: { readonly asOf: string | null; readonly state: string }
}
export type Answer = {
  readonly data?: {
    readonly sheet?: Row | null
    readonly sheets?: { readonly edges: readonly { readonly node: Row }[] }
  }
  readonly extensions?: { readonly freshness?: Freshness }
}
export type Freshness = {
  readonly asOf: string | null
  readonly lagMs: number | null
  readonly state: string
  readonly met?: boolean
  readonly position: string
  readonly views: Readonly<Record<string, { readonly sources: readonly { readonly state: string }[] }>>
}

/**
 * What an answer leaves out that was in the log before the bound that it states, of the rows that were asked for. `claim`: the bound,
 * where the answer shall be held to another one.
 */
export const lies = (
  history: History,
  asked: readonly string[],
  answer: Answer,
  claim?: (asOf: number) => number,
): readonly string[] => {
  const freshness = answer.extensions?.freshness
  if (!answer.data || !freshness?.asOf) return []
  const rows = answer.data.sheets?.edges.map(({ node }) => node) ?? (answer.data.sheet ? [answer.data.sheet] : [])
  const said = freshness.state === 'DEGRADED'
  return asked.flatMap((account) => {
    const row = rows.find(({ id }) => id === account)
    const stated = Date.parse(row?._freshness.asOf ?? freshness.asOf!)
    const asOf = claim ? claim(stated) : stated
    const judged = [history.judge(account, row?.n ?? null, asOf, said)]
    if (row?.items) {
      for (const key of items.filter((one) => accountOf(one) === account)) {
        const item = row.items.find(({ id }) => id === key)
        judged.push(history.judge(key, item?.n ?? null, asOf, said))
        if (item) judged.push(history.judge(labelOf(key), item.label, asOf, said))
      }
    }
    return judged.filter((one) => one !== undefined)
  })
}
