/** How far a re-snapshot is: rows are renewed once they stand on a record that came into the log after it was asked for. */
import type { Extent } from '../../ingest/source.ts'
import type { Entity } from '../../model/model.ts'
import { entityTable } from '../../model/names.ts'
import type { Sql } from '../../platform/postgres.ts'

/** `left`: rows that still stand on an older record. `applied`: live has gone past everything that was in the log when it was asked. */
export type Renewal = { readonly rows: number; readonly left: number; readonly applied: boolean }

/** Reads the whole table. A partition that came later holds nothing but later records. */
export const readRenewal = async (sql: Sql, entity: Entity, marks: readonly Extent[]): Promise<Renewal> => {
  const asked = JSON.stringify(marks.map(({ partition, end }) => ({ partition, mark: String(end) })))
  const [row] = await sql.unsafe<{ rows: string; left: string; applied: boolean }[]>(
    `with marks as materialized (select * from json_to_recordset($1::text::json) as x(partition int, mark bigint))
     select count(*) as rows, count(*) filter (where m.mark > e._offset) as left,
       (select coalesce(bool_and(p.next_offset >= m.mark), true) from marks m join forebay.positions p on p.topic = $2 and p.partition = m.partition) as applied
     from ${entityTable(entity)} e left join marks m on m.partition = e._partition where not e._deleted`,
    [asked, entity.source.topic],
  )
  return { rows: Number(row!.rows), left: Number(row!.left), applied: row!.applied }
}
