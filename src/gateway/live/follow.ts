/**
 * One caller's view of a topic: the latest answer, when it is asked for. A caller that takes its time gets the newest and none of those
 * between, so nothing is kept for it. Ends when the topic's answer is a refusal, when the caller's token expires, or when it leaves.
 */
import { GraphQLError } from 'graphql'
import { refusal } from '../errors.ts'
import type { Topic } from './topics.ts'

export type Result = object
export type Followed = AsyncIterableIterator<Result, undefined>

/** setTimeout takes no longer. */
const longestMs = 2 ** 31 - 1

/** `from`: data that the caller has already. `expiresAt`: by Date.now(). `over`: called once, when it has ended by itself or not. */
export const follow = (
  topic: Topic & { leave(): void },
  {
    from,
    expiresAt,
    over,
  }: { readonly from?: string; readonly expiresAt: number; readonly over?: (expired: boolean) => void },
): Followed => {
  let given = from === undefined ? 0 : -1
  let data = from
  let ended = false
  let expired = false
  let last: Result | undefined
  let wake: (() => void) | undefined
  const stir = (): void => {
    wake?.()
    wake = undefined
  }
  const end = (): void => {
    if (ended) return
    ended = true
    unlisten()
    clearTimeout(timer)
    topic.leave()
    stir()
    over?.(expired)
  }
  const unlisten = topic.listen(stir)
  const expire = (): void => {
    expired = true
    const error = refusal('UNAUTHENTICATED', 'The token has expired. Subscribe again with a new one.')
    last = { errors: [error.toJSON()] }
    end()
  }
  const timer = setTimeout(expire, Math.min(Math.max(0, expiresAt - Date.now()), longestMs)).unref()

  const take = (): Result | undefined => {
    const answer = topic.latest()
    const version = topic.version()
    if (!answer || version === given) return undefined
    given = version
    if (answer.data === data) return undefined
    data = answer.data
    if (answer.ends) end()
    return answer.result
  }
  const next = async (): Promise<IteratorResult<Result, undefined>> => {
    for (;;) {
      const value = ended ? undefined : take()
      if (value) return { value, done: false }
      if (last) {
        const error = last
        last = undefined
        return { value: error, done: false }
      }
      if (ended) return { value: undefined, done: true }
      await new Promise<void>((woken) => {
        wake = woken
      })
    }
  }
  return {
    next,
    return: async () => {
      last = undefined
      end()
      return { value: undefined, done: true }
    },
    throw: async (error) => {
      end()
      throw error instanceof GraphQLError ? error : new Error('a live answer was broken off', { cause: error })
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
