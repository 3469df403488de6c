/** A feed as SOURCES.md shows it: a file of JSON lines that only grows. Each line is a record, and its `id` the key. */
import { open } from 'node:fs/promises'
import { passes } from '../../src/ingest/feed/passes.ts'
import type { Feed } from '../../src/ingest/feed.ts'

const atOnce = 1024 * 1024

export const fileFeed = (path: string, topic: string): Feed => {
  const turns = passes(200)
  return {
    name: topic,
    topics: [topic],
    basis: 'SOURCE',
    async bound() {
      await turns.reached()
      return { topics: [topic] }
    },
    async run(journal) {
      const file = await open(path)
      let at = Number(journal.cursor ?? 0)
      const pass = async (): Promise<boolean> => {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(atOnce), 0, atOnce, at)
        const lines = buffer.subarray(0, buffer.subarray(0, bytesRead).lastIndexOf('\n') + 1)
        if (lines.length === 0 && bytesRead === atOnce)
          throw new Error(`${path} has a line of more than 1 MiB at ${at}`)
        const records = lines
          .toString()
          .split('\n')
          .slice(0, -1)
          .map((line) => ({ topic, key: Buffer.from(String(JSON.parse(line).id)), value: Buffer.from(line) }))
        at += lines.length
        if (records.length > 0) await journal.append(records, at)
        return bytesRead < atOnce
      }
      try {
        await turns.run(pass, journal.stop)
      } finally {
        await file.close()
      }
    },
  }
}
