/**
 * How fast a fan-out may go beside live work. Live rounds come first: a stretch is worked between two of them, takes no longer than they can
 * wait for, and then live work has the connection for a multiple of that. With no live work it goes on at once, in larger stretches; while
 * live work has a backlog it gets a small share, so that it ends.
 */
export type FanoutPace = {
  /** Told of each live round: how long it took, whether there was anything to do, and whether more waited. */
  live(round: { readonly entries: number; readonly full: boolean }, ms: number): void
  /** Milliseconds until the next stretch may begin; 0: now. */
  wait(): number
  /** Keys that the next stretch may take. */
  keys(): number
  /** Told of each stretch. */
  worked(keys: number, ms: number): void
}

/** A stretch may take so long, milliseconds: with live work, and with none for a moment. */
const busyMs = 15
const idleMs = 100
const idleAfterMs = 250
/** Its share of the time: beside live work, and beside a backlog of it. */
const share = 0.35
const leastShare = 0.1
/** Fewer would cost as much: it is what a stretch takes to begin and to end. */
const leastKeys = 100
const mostKeys = 1_000

export const createFanoutPace = (now: () => number = () => performance.now()): FanoutPace => {
  const sizes = { idle: leastKeys, busy: leastKeys }
  let lastLive = Number.NEGATIVE_INFINITY
  let backlog = false
  let roundMs = 0
  let ended = Number.NEGATIVE_INFINITY
  let took = 0
  let asked: keyof typeof sizes = 'idle'
  const kind = (): keyof typeof sizes => (now() - lastLive > idleAfterMs ? 'idle' : 'busy')
  return {
    live({ entries, full }, ms) {
      if (entries === 0) return
      lastLive = now()
      backlog = full
      roundMs = ms
    },
    wait() {
      if (kind() === 'idle') return 0
      const rest = took * (1 / (backlog ? leastShare : share) - 1)
      return Math.max(0, rest - (now() - ended))
    },
    keys() {
      asked = kind()
      return sizes[asked]
    },
    worked(keys, ms) {
      ended = now()
      took = ms
      // Beside a long round a stretch may be long too: nobody waits longer for it than for the round.
      const target = asked === 'idle' ? idleMs : Math.max(busyMs, roundMs / 4)
      const size = sizes[asked]
      if (ms > target) sizes[asked] = Math.max(leastKeys, Math.round(size * 0.7))
      else if (ms < target * 0.7 && keys >= size / 2) sizes[asked] = Math.min(mostKeys, Math.round(size * 1.3))
    },
  }
}
