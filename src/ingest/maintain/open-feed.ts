/** The feed of a session: see change-feed.ts. */
import type { Sql } from '../../platform/postgres.ts'

/** Opens this session's feed, if it has none, and takes away those of sessions that have ended. */
export const openFeed = (sql: Sql): Promise<unknown> =>
  sql.unsafe(
    `with gone as (
      delete from forebay.change_feeds f where not exists (
        select from pg_stat_activity a where a.pid = f.pid and (a.backend_start is null or a.backend_start = f.backend_start))),
    opened as (
      insert into forebay.change_feeds (feed, pid, backend_start)
      select gen_random_uuid()::text, pid, backend_start from pg_stat_activity
      where pid = pg_backend_pid() and not exists (select from forebay.change_feeds where feed = current_setting('forebay.feed', true))
      returning feed)
    select set_config('forebay.feed', feed, false) from opened`,
    [],
    { prepare: true },
  )
