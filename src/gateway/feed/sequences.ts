/** How far each change feed was in one snapshot of the database. Feeds that differ by name are of another epoch: nothing of one says anything of another. */
export type Sequences = Readonly<Record<string, number>>

/** All that `other` holds is in `one` too. Where nobody writes a feed nothing is known. */
export const reaches = (one: Sequences, other: Sequences): boolean => {
  const feeds = Object.keys(other)
  return (
    feeds.length > 0 &&
    feeds.length === Object.keys(one).length &&
    feeds.every((feed) => (one[feed] ?? -1) >= other[feed]!)
  )
}

/** The later of both in each feed; undefined where they are of different epochs, or one isn't known. */
export const later = (one: Sequences | undefined, other: Sequences | undefined): Sequences | undefined => {
  if (one === undefined || other === undefined || one === other) return one && other
  const feeds = Object.keys(one)
  if (feeds.length !== Object.keys(other).length || feeds.some((feed) => other[feed] === undefined)) return undefined
  return Object.fromEntries(feeds.map((feed) => [feed, Math.max(one[feed]!, other[feed]!)]))
}

/** Columns of the snapshot itself. */
export const sequencesSql = `(select coalesce(json_object_agg(feed, sequence), '{}') from forebay.change_feeds)`
