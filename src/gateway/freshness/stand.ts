/**
 * Where one request stands: which server it reads from, by which snapshot of it, and how fresh that is. A request reads from one server, so
 * that what is said of its freshness is true of all its rows (C22).
 */
import { fieldError, refusal } from '../errors.ts'
import { type Ask, type Asked, askedAt } from './asked.ts'
import { aged, type Shown, type ViewFreshness, viewFreshness } from './freshness.ts'
import { whyForeign } from './passed.ts'
import { type Judged, judge, satisfies, snapshotServes } from './satisfies.ts'
import type { Served } from './serving.ts'
import { type createWait, type Waited, waited } from './wait.ts'
import type { Seen, Watch } from './watch.ts'

/** `reads`: what rows are read with there. */
export type Server<Reads> = {
  readonly watch: Pick<Watch, 'current' | 'look' | 'follow' | 'firstSeen'>
  readonly reads: Reads
}
export type Replicas<Reads> = {
  /** One that serves, by its own snapshot; each in turn. Undefined: none does. `primary`: its latest snapshot, while it is there. */
  choose(
    primary: Seen | undefined,
    serves: (seen: Seen) => boolean,
  ): (Server<Reads> & { readonly seen: Seen }) | undefined
}

export type Stand<Reads> = {
  /** What the request asks; undefined: nothing. */
  asked(): Asked | undefined
  /** Waits, fails or goes on as asked. Undefined where it can go on at once. Throws STALE, BAD_USER_INPUT, UNAVAILABLE. */
  settle(ask: Ask, views: Iterable<string>): Promise<void> | undefined
  /** What rows are read with, once it is settled. */
  reads(): Reads
  seen(): Seen | undefined
  /** What a view is answered from. */
  served(view: string): Served | undefined
  /** Throws UNAVAILABLE where nothing keeps the view. */
  freshness(view: string): ViewFreshness
  /** Told of rows that are older than what `freshness` says. */
  older(view: string, asOf: number): void
  /** What has a bound of its own must be as fresh as this; see satisfies.ts. */
  floor(view: string): number | null
  /** How far the change feeds are in the snapshot; undefined where only rows that are read now will do. */
  feeds(): Seen['feeds'] | undefined
  /** False where the answer is older than asked, and that was to be served; undefined where nothing was asked. */
  met(): boolean | undefined
}

export type StandOptions<Reads> = {
  readonly primary: Server<Reads>
  readonly replicas: Replicas<Reads> | undefined
  readonly wait: ReturnType<typeof createWait>
  /** Upper bound of the primary's clock. */
  readonly now: () => number
}
/** `shown`: the fields of a view that the answer is about. */
export type StandRequest = {
  readonly shown: (view: string) => Shown
  readonly gone: (left: () => void) => () => void
  /** Rows are read now, and from the primary, whatever is asked. */
  readonly now?: boolean
}

const away = (): Error => refusal('UNAVAILABLE', 'The store cannot be reached at the moment. Try again shortly.')

export const openStands = <Reads>({ primary, replicas, wait, now }: StandOptions<Reads>) => {
  const { watch } = primary
  return ({ shown, gone, now: rightNow = false }: StandRequest): Stand<Reads> => {
    const arrived = now()
    let seen = watch.current()
    let reads = primary.reads
    let asked: Asked | undefined
    let met: boolean | undefined
    const floors = new Map<string, number | null>()
    const known = new Map<string, ViewFreshness>()

    const freshnessBy = (snapshot: Seen, view: string): ViewFreshness => {
      const basis = snapshot.serving.views.get(view)?.basis
      if (!basis) throw refusal('UNAVAILABLE', `${view} is not kept yet: no ingest process has registered it.`)
      return viewFreshness(snapshot, basis, now(), shown(view))
    }
    const judgeBy = (snapshot: Seen, view: string, replica = false): Judged & { readonly freshness: ViewFreshness } => {
      const freshness = freshnessBy(snapshot, view)
      const { basis } = snapshot.serving.views.get(view)!
      const standing = { snapshot, basis, freshness, shown: shown(view), firstSeen: watch.firstSeen, replica }
      return { ...judge(asked, standing), freshness }
    }
    const judgeAll =
      (views: readonly string[], replica = false) =>
      (snapshot: Seen) =>
        new Map(views.map((view) => [view, judgeBy(snapshot, view, replica)]))

    const take = (found: Waited): void => {
      seen = found.seen
      met = asked && found.met
      for (const [view, { floor, freshness, met: held }] of found.judged) {
        floors.set(view, held ? floor : null)
        known.set(view, freshness)
      }
    }
    /**
     * A replica that is as fresh as asked. Where no staleness is, it must be FRESH too, or no older than the primary; while there is no primary,
     * as good as promised. `from`: the primary's snapshot.
     */
    const elsewhere = (views: readonly string[], from: Seen | undefined): boolean => {
      const least = (view: string, maxLagMs: number): number =>
        from
          ? Math.min(freshnessBy(from, view).asOf ?? Number.POSITIVE_INFINITY, now() - maxLagMs / 2)
          : now() - maxLagMs
      const serves = (snapshot: Seen): boolean =>
        views.every((view) => {
          if (!snapshot.serving.views.has(view)) return false
          const { met: held, freshness } = judgeBy(snapshot, view, true)
          const bounded = asked !== undefined && asked.maxStalenessMs !== null
          return held && (bounded || satisfies(least(view, freshness.maxLagMs), freshness.asOf))
        })
      if (!replicas || rightNow) return false
      const chosen = replicas.choose(from, serves)
      if (!chosen) return false
      reads = chosen.reads
      take(waited(chosen.seen, judgeAll(views, true)))
      return true
    }

    /** Tokens that speak of what isn't here fail at once, by what there is now: another gateway may have seen more than this one. */
    const refuseForeign = async (of: Asked): Promise<void> => {
      const foreign = (snapshot: Seen): readonly string[] => {
        const topics = new Set([...snapshot.serving.views.values()].flatMap(({ basis }) => basis.topics))
        return of.after.flatMap((one) => whyForeign(one, snapshot.partitions, topics) ?? [])
      }
      if (!seen || foreign(seen).length === 0) return
      const [first] = foreign((await watch.look(true)) ?? seen)
      if (first !== undefined)
        throw refusal('BAD_USER_INPUT', `The position asked for can't be reached here. ${first}.`)
    }
    const settle = async (of: Asked, views: readonly string[]): Promise<void> => {
      await refuseForeign(of)
      const from = watch.current()
      if (!from) throw away()
      const judgeNow = judgeAll(views)
      const first = waited(from, judgeNow)
      if (first.met) {
        if (!elsewhere(views, from)) take(first)
        return
      }
      take(await wait({ asked: of, judge: judgeNow, gone }, first))
    }

    return {
      asked: () => asked,
      settle: (ask, given) => {
        const views = [...given]
        asked = askedAt(ask, arrived)
        if (views.length === 0) return undefined
        if (asked && seen) return settle(asked, views)
        if (!elsewhere(views, seen) && !seen) throw away()
        return undefined
      },
      reads: () => reads,
      seen: () => seen,
      served: (view) => seen?.serving.views.get(view),
      freshness: (view) => {
        const found = known.get(view)
        if (found) return found
        if (!seen) throw away()
        const made = freshnessBy(seen, view)
        known.set(view, made)
        // One that the plan didn't tell of, as `node(id:)` may find.
        if (asked && !floors.has(view)) {
          const { met: held, floor, why } = judgeBy(seen, view, reads !== primary.reads)
          if (!held && asked.onStale !== 'SERVE')
            throw fieldError('STALE', `This is not as fresh as asked. ${view}: ${why.join('; ')}.`)
          floors.set(view, held ? floor : null)
          met &&= held
        }
        return made
      },
      older: (view, asOf) => {
        const found = known.get(view)
        if (found) known.set(view, aged(found, now(), asOf))
      },
      floor: (view) => floors.get(view) ?? null,
      feeds: () => (seen && !rightNow && snapshotServes(asked, seen) ? seen.feeds : undefined),
      met: () => met,
    }
  }
}
