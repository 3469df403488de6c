/**
 * The validator of an answer (RFC 9110 ETag), and what may keep it. It is of the data and of who it was shown to, not of how fresh it was
 * when: so it is a weak one, and an answer that is the same again isn't sent again.
 */
import { createHash } from 'node:crypto'
import type { Context } from './context.ts'

/** What an answer depends on besides its URL. */
const vary = 'Authorization, Accept, Accept-Encoding'

const validatorOf = (data: string, { verdict }: Pick<Context, 'verdict'>): string =>
  `W/"${createHash('sha256').update(verdict.key).update('\0').update(data).digest('base64url').slice(0, 22)}"`

/**
 * Of an answer to GET. Nobody but the caller keeps it, and asks each time whether it still holds; where it speaks of somebody's personal
 * data, in whatever form, nobody keeps it: the strictest field decides.
 */
export const cachingHeaders = (data: string, context: Context): readonly (readonly [string, string])[] => [
  ['etag', validatorOf(data, context)],
  ['cache-control', context.personal() ? 'no-store' : 'private, no-cache'],
  ['vary', vary],
]

/** If-None-Match names it, by weak comparison. */
export const isKnown = (asked: string | undefined, validator: string | undefined): boolean =>
  asked !== undefined &&
  validator !== undefined &&
  (asked.trim() === '*' ||
    asked.split(',').some((one) => one.trim().replace(/^W\//, '') === validator.replace(/^W\//, '')))
