/**
 * Asks ingest where the logs end, sooner than it would ask by itself. What is asked for is a moment: every log has to be asked after it (C28). One
 * asking serves all that wait for an earlier moment; a lost one is made up for by ingest's own pace.
 */
import { log } from '../../platform/log.ts'
import { observeChannel } from '../../platform/observe-channel.ts'
import type { Sql } from '../../platform/postgres.ts'

const paceMs = 10

export const createPrompt = (sql: Sql): ((after: number) => void) => {
  let [sent, wanted] = [0, 0]
  let busy = false
  const send = async (): Promise<void> => {
    busy = true
    while (wanted > sent) {
      sent = wanted
      await sql`select pg_notify(${observeChannel}, ${String(sent)})`.catch((error: unknown) =>
        log.warn('freshness not prompted', { error }),
      )
      await new Promise((done) => setTimeout(done, paceMs).unref())
    }
    busy = false
  }
  return (after) => {
    wanted = Math.max(wanted, Math.ceil(after))
    if (!busy) void send()
  }
}
