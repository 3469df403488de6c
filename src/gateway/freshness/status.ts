/** How the engine is: what `forebay { … }` answers. */
import type { Crossing } from '../../model/sql/cross-tenant.ts'
import type { Sql } from '../../platform/postgres.ts'
import { present } from '../../platform/present.ts'
import type { Run } from '../read/statements.ts'
import { type Basis, type FreshnessState, generationOf, type ViewBasis, viewFreshness } from './freshness.ts'
import type { Partition } from './snapshot.ts'
import { type PartitionState, partitionState } from './source-state.ts'
import type { Seen } from './watch.ts'

export type Status = {
  readonly views: readonly {
    readonly name: string
    readonly hash: string
    readonly state: FreshnessState
    readonly asOf: number | null
    readonly basis: Basis
    readonly logAsOf?: number
    readonly lagMs: number | null
    readonly maxLagMs: number
    readonly pending: number
    readonly parkedKeys: number
    readonly registered: string | null
    readonly rowsEstimate: number | null
    readonly topics: readonly string[]
  }[]
  readonly sources: readonly { readonly topic: string; readonly partitions: readonly PartitionStatus[] }[]
  readonly quarantine: readonly {
    readonly topic: string
    readonly entity: string | null
    readonly count: number
    readonly oldest: string
    readonly reasons: readonly string[]
  }[]
  readonly crossTenant: readonly { readonly join: string; count(): Promise<number> }[]
}
/** `shown`: how it is, of what is stored (`state` and the rest). */
type PartitionStatus = Partition & { readonly shown: PartitionState }

/** Counting stops there: a log may be very deep, and is counted only for people. */
const pendingLimit = 10_000
const detailSql = `select json_build_object(
  'pending', (select coalesce(json_agg(x), '[]') from (select generation, (select count(*) from (select from forebay.dirty d where d.generation = g.generation limit ${pendingLimit}) d) as entries from forebay.generations g where retired_at is null) x),
  'registered', (select coalesce(json_agg(x), '[]') from (select generation, forebay.iso(registered_at) as at from forebay.generations) x),
  'rows', (select coalesce(json_agg(x), '[]') from (select format('%I.%I', relnamespace::regnamespace::text, relname) as name, reltuples::bigint as rows from pg_class where relnamespace = 'forebay_view'::regnamespace and relkind = 'r') x),
  'reasons', (select coalesce(json_agg(x), '[]') from (select topic, entity, (array_agg(distinct reason))[1:5] as reasons from forebay.quarantine where state = 'PARKED' group by topic, entity) x))::text as detail`

type Detail = {
  readonly pending: readonly { readonly generation: number; readonly entries: number }[]
  readonly registered: readonly { readonly generation: number; readonly at: string }[]
  readonly rows: readonly { readonly name: string; readonly rows: number }[]
  readonly reasons: readonly {
    readonly topic: string
    readonly entity: string | null
    readonly reasons: readonly string[]
  }[]
}

/** `now`: the upper bound of the primary's clock. */
export const readStatus = async (
  sql: Sql,
  snapshot: Seen,
  bases: ReadonlyMap<string, ViewBasis>,
  now: number,
): Promise<Omit<Status, 'crossTenant'>> => {
  const [row] = await sql.unsafe<{ detail: string }[]>(detailSql, [], { prepare: true })
  const detail = JSON.parse(row!.detail) as Detail
  const views = [...bases.values()].map((own) => {
    const basis = snapshot.serving.views.get(own.view.name)?.basis ?? own
    const { state, asOf, basis: about, logAsOf, lagMs, maxLagMs, parkedKeys } = viewFreshness(snapshot, basis, now)
    const generation = generationOf(snapshot, basis)
    const bare = basis.table.table.replaceAll('"', '')
    return {
      name: basis.view.name,
      hash: basis.table.hash,
      state,
      asOf,
      basis: about,
      ...present({ logAsOf }),
      lagMs,
      maxLagMs,
      pending: detail.pending.find((one) => one.generation === generation)?.entries ?? 0,
      parkedKeys: parkedKeys?.count ?? 0,
      registered: detail.registered.find((one) => one.generation === generation)?.at ?? null,
      rowsEstimate: detail.rows.find(({ name, rows }) => rows >= 0 && name.replaceAll('"', '') === bare)?.rows ?? null,
      topics: basis.topics,
    }
  })
  const topics = [...new Set(snapshot.partitions.map(({ topic }) => topic))]
  return {
    views,
    sources: topics.map((topic) => ({
      topic,
      partitions: snapshot.partitions
        .filter((one) => one.topic === topic)
        .map((one) => ({ ...one, shown: partitionState(one, now) })),
    })),
    quarantine: snapshot.parked
      .filter(({ settledAt }) => settledAt === null)
      .map((one) => ({
        ...one,
        reasons:
          detail.reasons.find(({ topic, entity }) => topic === one.topic && entity === one.entity)?.reasons ?? [],
      })),
  }
}

/** Each is counted when its count is asked for, one after the other: they read whole tables. */
export const countCrossings = (run: Run, crossings: readonly Crossing[]): Status['crossTenant'] => {
  let last: Promise<unknown> = Promise.resolve()
  return crossings.map(({ join, count }) => ({
    join,
    count: () => {
      const counted = last.then(async () => (await run<{ n: number }>({ text: count, values: [] }, false))[0]?.n ?? 0)
      last = counted.catch(() => {})
      return counted
    },
  }))
}
