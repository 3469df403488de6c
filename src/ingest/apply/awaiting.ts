/**
 * Rows that are not shown since they wait for what they held under another key (C15). It comes with the delete there, as soon as its partition
 * is as far; but a log that was compacted may have it no more, and then only a full image of the row ends the waiting.
 */
import type { Entity, Model } from '../../model/model.ts'
import { columnName, columnSqlType, entityTable, ident } from '../../model/names.ts'
import { columnOf } from '../../model/sql/row-scope.ts'
import { gauge } from '../../platform/metrics.ts'
import type { Sql } from '../../platform/postgres.ts'

const awaiting = gauge({
  name: 'forebay_rows_awaiting_image',
  help: 'Rows not shown since a change of their key left values out, and the delete under the old key has not come.',
  labels: ['entity'],
})

export const countAwaiting = async (sql: Sql, model: Model): Promise<void> => {
  const found = await sql<
    { entity: string }[]
  >`select distinct entity from forebay.key_changes where new_key is not null`
  const some = new Set(found.map(({ entity }) => entity))
  for (const entity of model.entities.values()) {
    const [row] = some.has(entity.name)
      ? await sql.unsafe<{ n: number }[]>(countSql(entity), [entity.name])
      : [{ n: 0 }]
    awaiting.set({ entity: entity.name }, row!.n)
  }
}

const countSql = (entity: Entity): string => {
  const key = entity.key.map((name) => ({
    column: ident(columnName(name)),
    type: columnSqlType(columnOf(entity, name)),
  }))
  const typed = key.map(({ column, type }) => `${column} ${type}`).join(', ')
  return `select count(*)::int as n from forebay.key_changes k cross join lateral jsonb_to_record(k.new_key) as n(${typed})
    join ${entityTable(entity)} e on ${key.map(({ column }) => `e.${column} = n.${column}`).join(' and ')}
    where k.entity = $1 and e._awaits = k.id and not e._deleted`
}
