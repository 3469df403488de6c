/** The journal as what feeds put into it: what is known of the ends of their topics is about the sources themselves. */
import type { LogSource } from '../source.ts'
import type { Feeds } from './run.ts'

/** `journal` reads the feeds' topics and, where the journal is the log, all others. */
export const observedSource = (journal: LogSource, feeds: Feeds): LogSource => ({
  ...journal,
  /** A topic whose source doesn't answer keeps its last observation; of one that another process feeds nothing is known here. */
  async extents() {
    const extents = await journal.extents()
    return extents.map((extent) =>
      feeds.topics.has(extent.topic) ? { ...extent, seen: feeds.seen(extent) ?? null } : extent,
    )
  },
  status: () => journal.status() ?? feeds.status(),
})
