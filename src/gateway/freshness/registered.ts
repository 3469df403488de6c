/** Which generations are kept up, and which of them serves: the gateway's view of src/ingest/rebuild/states.ts. */

/** `declared`: the hash of its definition as folders give it; `hash`: that of its tables. What is being built says how far it is. */
export type Kept = {
  readonly generation: number
  readonly view: string
  readonly hash: string
  readonly declared: string
  readonly pointed: boolean
  readonly rolledBack: boolean
  readonly done: number | null
  readonly total: number | null
  readonly rate: number | null
  readonly reason: string | null
}
/** `catalog`: the version that moves with every one of these. `retired`: definitions that were kept once and are no longer. */
export type Registered = {
  readonly catalog: number
  readonly kept: readonly Kept[]
  readonly retired: readonly { readonly view: string; readonly declared: string }[]
}

export const registeredSql = `(select json_build_object('catalog', (select version from forebay.catalog),
  'kept', (select coalesce(json_agg(k order by k.generation), '[]') from (
    select g.generation, g.view, g.hash, coalesce(g.declared, g.hash) as declared, p.generation is not null as pointed,
      g.rolled_back as "rolledBack", f.done::float8 as done, f.total::float8 as total, f.rate, g.reason
    from forebay.generations g left join forebay.pointers p using (view, generation)
    left join lateral (
      select sum(done) as done, sum(total) as total, (array_agg(rate order by moved_at desc))[1] as rate
      from forebay.fills where generation = g.generation and g.state in ('BUILDING', 'PROVEN') having count(*) > 0) f on true
    where g.retired_at is null) k),
  'retired', (select coalesce(json_agg(r), '[]') from (
    select distinct view, coalesce(declared, hash) as declared from forebay.generations where retired_at is not null) r)))`
