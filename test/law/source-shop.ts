/** For law 5 about a source's own commits: who changes its table, and what an answer over HTTP says of it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Sql } from '../../src/platform/postgres.ts'
import { until } from '../kafka/client.ts'
import type { Running } from '../support/forebay.ts'
import { type History, startHistory } from './law5-history.ts'

/** `source`: of the table `items`. */
export const declarationOf = (source: string): string => `
extend enum Role { CLERK }
extend schema @domain(name: "shop", owner: "test")
type Item @entity(domain: "shop", key: "id", source: { ${source} }) { id: ID! n: Int! }
type Shelf @view(of: "Item", maxLag: "PT6S") @allow(roles: [CLERK]) { id: ID! n: Int! }
`
export const table = 'create table items (id text primary key, n int not null)'
const keys = ['i0', 'i1', 'i2', 'i3', 'i4', 'i5', 'i6', 'i7']

export type View = {
  readonly asOf: string | null
  readonly lagMs: number | null
  readonly state: string
  readonly basis: string
  readonly logAsOf?: string
  readonly sources: readonly { readonly source: string; readonly state: string; readonly detail: string }[]
}
type Shown = { readonly rows: ReadonlyMap<string, number>; readonly view: View }

const query = '{ shelfs(first: 20) { edges { node { id n } } } }'
const ask = async (gateway: Running): Promise<Shown | undefined> => {
  const { body } = await gateway.ask(query, { roles: ['CLERK'] })
  const view = body?.extensions?.freshness?.views?.Shelf as View | undefined
  const edges = body?.data?.shelfs?.edges as readonly { readonly node: { id: string; n: number } }[] | undefined
  return view && edges && { view, rows: new Map(edges.map(({ node }) => [node.id, node.n])) }
}
export const viewOf = async (gateway: Running): Promise<View | undefined> => (await ask(gateway))?.view

/** Until it has grown old and an answer says why: the one that does. */
export const untilStuck = async (gateway: Running): Promise<View> => {
  let view: View | undefined
  await until(
    async () => {
      view = await viewOf(gateway)
      return view?.state === 'STALE' && view.sources.some(({ state }) => state === 'STUCK')
    },
    'STALE and STUCK',
    30_000,
  )
  expect(view).toMatchObject({ basis: 'SOURCE' })
  return view!
}

/** Of Forebay's own Postgres, whose clock bounds are told by. */
export const clockOf = async (sql: Sql): Promise<number> => {
  const [row] = await sql<{ ms: number }[]>`select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`
  return row!.ms
}

export type Work = {
  /** What answers lacked that was committed at the source before the bound that they stated. */
  readonly found: readonly string[]
  /** What would have been found if the bound about the log were one about the source, or every answer as of when it was asked for. */
  readonly missing: readonly string[]
  /** Answers that stated a bound about the source. */
  readonly judged: number
  /** Ends it; gives the rows that there must be at last. */
  stop(): Promise<ReadonlyMap<string, number>>
}

/** Two who change rows, some of them in transactions that stay open for a while, and one who reads, until they are stopped. */
export const startWork = (source: Sql, primary: Sql, gateway: Running): Work => {
  const history = startHistory()
  const work = { found: [] as string[], missing: [] as string[], judged: 0 }
  let [states, over] = [0, false]

  const commit = async (key: string, n: number): Promise<void> => {
    states += 1
    const state = states
    const gone = n % 11 === 7
    const done = history.begin(key, gone ? null : state)
    await source.begin(async (tx) => {
      if (gone) await tx`delete from items where id = ${key}`
      else await tx`insert into items values (${key}, ${state}) on conflict (id) do update set n = excluded.n`
      if (n % 13 === 5) await sleep(120)
    })
    done(await clockOf(primary))
  }
  const write = async (own: readonly string[]): Promise<void> => {
    for (let n = 0; !over; n++) {
      await commit(own[n % own.length]!, n)
      await sleep(20)
    }
  }
  const lies = (history: History, { rows }: Shown, asOf: number): readonly string[] =>
    keys.flatMap((key) => history.judge(key, rows.get(key) ?? null, asOf, false) ?? [])
  const read = async (): Promise<void> => {
    while (!over) {
      const at = await clockOf(primary)
      const shown = await ask(gateway)
      if (shown?.view.asOf && shown.view.basis === 'SOURCE') {
        work.judged += 1
        work.found.push(...lies(history, shown, Date.parse(shown.view.asOf)))
        work.missing.push(...lies(history, shown, at))
      }
      await sleep(20)
    }
  }
  const half = keys.length / 2
  const all = Promise.all([write(keys.slice(0, half)), write(keys.slice(half)), read()])
  all.catch(() => {})
  return Object.assign(work, {
    async stop() {
      over = true
      await all
      return new Map(
        keys.flatMap((key) => {
          const last = history.last(key)
          return typeof last === 'number' ? [[key, last] as const] : []
        }),
      )
    },
  })
}

/** The rows of the source, as answers show them. */
export const rowsOf = async (gateway: Running): Promise<ReadonlyMap<string, number>> =>
  new Map([...((await ask(gateway))?.rows ?? [])].filter(([id]) => keys.includes(id)))
