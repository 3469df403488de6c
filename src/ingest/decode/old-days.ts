/**
 * Days and times before the Gregorian calendar, as a snapshot of Debezium's Postgres connector reads them through Java's older one: times
 * are off by the days between the calendars, and a year BC has lost its era. The stream has both right. What is wrong can't be told from
 * what is right, so it is refused; an instant that its schema says had a zone is read another way and right.
 */
import type { Entity } from '../../model/model.ts'
import type { CellValue } from '../change.ts'
import type { ConnectSchema } from './document.ts'
import { DecodeFault } from './fault.ts'
import { perSchema, schemaAt } from './row.ts'

const gregorian = '1582-10-15'

/** Throws DecodeFault. `schema`: the row's. */
export const refuseOldDays = (entity: Entity) => {
  const dated = entity.columns.filter(
    ({ type }) => type.kind === 'scalar' && (type.scalar === 'Date' || type.scalar === 'DateTime'),
  )
  const doubtful = perSchema((schema) =>
    dated.filter(({ path }) => schemaAt(schema, path)?.name !== 'io.debezium.time.ZonedTimestamp'),
  )
  return (row: Readonly<Record<string, CellValue>>, schema: ConnectSchema | undefined): void => {
    for (const { name } of doubtful(schema)) {
      const value = row[name]
      const days: readonly unknown[] = Array.isArray(value) ? value : [value]
      if (days.some((day) => typeof day === 'string' && day < gregorian))
        throw new DecodeFault(
          `${entity.name}.${name} is before ${gregorian}, which a snapshot may have shifted or moved from BC: write the row once more at the source, so that it comes by the stream`,
        )
    }
  }
}
