/**
 * Who may use a connection: as many at a time as there are connections, so that no statement goes out behind a slow one; the others in
 * the order in which they came, so many and so long and no more. Then the caller is told at once, which costs less than an answer nobody waits for.
 */
import { fieldError } from '../errors.ts'

export type TurnsOptions = {
  readonly running: number
  readonly waiting: number
  readonly waitMs: number
}
export type Turns = <T>(work: () => Promise<T>, signal?: AbortSignal) => Promise<T>

type Waiter = { readonly begin: () => void }

const crowded = (): Error =>
  fieldError('UNAVAILABLE', 'Too many reads wait for the store at the moment. Try again shortly.')
/** Nobody hears it: who asked is gone. */
export const left = (): Error => fieldError('UNAVAILABLE', 'The caller went away.')

export const createTurns = ({ running, waiting, waitMs }: TurnsOptions): Turns => {
  let taken = 0
  const queue = new Set<Waiter>()
  const turn = (signal: AbortSignal | undefined): Promise<void> =>
    new Promise((begin, refuse) => {
      const leave = (why: Error): void => {
        queue.delete(waiter)
        settle()
        refuse(why)
      }
      const late = setTimeout(() => leave(crowded()), waitMs)
      const away = () => leave(left())
      const settle = () => {
        clearTimeout(late)
        signal?.removeEventListener('abort', away)
      }
      const waiter: Waiter = {
        begin: () => {
          settle()
          begin()
        },
      }
      signal?.addEventListener('abort', away)
      queue.add(waiter)
    })
  return async (work, signal) => {
    if (signal?.aborted) throw left()
    if (taken < running) taken += 1
    else if (queue.size >= waiting) throw crowded()
    else await turn(signal)
    try {
      return await work()
    } finally {
      const [next] = queue
      if (next) {
        // The turn is handed on, so nobody who comes now goes before.
        queue.delete(next)
        next.begin()
      } else taken -= 1
    }
  }
}
