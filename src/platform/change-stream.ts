/**
 * The Redis streams that carry change feeds: one a feed, all under one hash tag, so that in a cluster too one blocking read follows all of
 * them. Each entry has one field, `m`, with a message as change-message.ts has it.
 */

export const changeStream = (feed: string): string => `forebay:{changes}:${feed}`
/** About so many messages; who is further behind finds a gap. */
export const mostKept = 1_000
/** After the last change: a feed whose owner is gone goes as well. */
export const streamLastsMs = 3_600_000
