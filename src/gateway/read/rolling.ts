/**
 * Reading rolling fields: windows are summed and expressions over them worked out as a row is read (C25), so one may fail for a row. Then that
 * field of that row is an error: what is stored is read without it, and what rolls field by field, by halves of the rows.
 */
import { codeOf } from '../../platform/postgres.ts'
import type { RowKey } from '../../platform/row-cache.ts'
import { fieldError } from '../errors.ts'
import { byKeysStatement, type Reading, type Statement, type StoredRow } from './row-sql.ts'
import type { Run } from './statements.ts'

const rollingOf = ({ table, fields }: Reading): readonly string[] =>
  table.rolling.flatMap(({ field }) => (fields.has(field) ? [field] : []))
export const asksRolling = (reading: Reading): boolean => rollingOf(reading).length > 0

const reasons: Readonly<Record<string, string>> = { '22012': 'division by zero', '22003': 'a number out of range' }

/** Values stay out of what is said: Postgres's own words may hold some. */
const rowFault = (error: unknown): Error => {
  const why = reasons[codeOf(error)] ?? 'a value that it does not take'
  return fieldError(
    'UNAVAILABLE',
    `This window, or expression over one, fails for this row: ${why}. An expression can allow for that by nullif(…) or case, a sum by Decimal.`,
  )
}
const wentMeanwhile = (): Error => fieldError('UNAVAILABLE', 'This row changed while its windows were read. Ask again.')

/** Errors of Postgres's class 22 are about data. */
const isRowFault = (error: unknown): boolean => codeOf(error).startsWith('22')

/** `statementOf`: the same rows, of which other fields are read. */
export const readRows = async <Row extends StoredRow>(
  run: Run,
  reading: Reading,
  statementOf: (reading: Reading) => Statement,
  prepare: boolean,
): Promise<readonly Row[]> => {
  const names = rollingOf(reading)
  try {
    return await run<Row>(statementOf(reading), prepare)
  } catch (error) {
    if (names.length === 0 || !isRowFault(error)) throw error
  }
  // Where what callers gave is at fault, this fails as well.
  const stored = new Set([...reading.fields].filter((name) => !names.includes(name)))
  const rows = await run<Row>(statementOf({ ...reading, fields: stored }), false)
  if (rows.length === 0) return rows
  const [clock] = await run<{ now: string }>({ text: 'select statement_timestamp()::text as now', values: [] }, true)
  const keys = rows.map(({ key }) => JSON.parse(key) as RowKey)
  const rolled = await Promise.all(
    names.map((name) => eachOf(run, { ...reading, held: 'none', now: `timestamptz '${clock!.now}'` }, name, keys)),
  )
  return rows.map((row, i) =>
    withRolled(
      row,
      names,
      rolled.map((values) => values[i]!),
    ),
  )
}

/** Of one field, each row's value as a JSON object, or why there is none. */
const eachOf = async (
  run: Run,
  reading: Reading,
  name: string,
  keys: readonly RowKey[],
): Promise<readonly (string | Error)[]> => {
  try {
    const statement = byKeysStatement({ ...reading, fields: new Set([name]) }, keys)
    const found = await run<StoredRow & { position: number }>(statement, false)
    const values = new Map(found.map(({ position, fields }) => [position, fields]))
    return keys.map((_, i) => values.get(i + 1) ?? wentMeanwhile())
  } catch (error) {
    if (!isRowFault(error)) throw error
    if (keys.length === 1) return [rowFault(error)]
    const half = Math.ceil(keys.length / 2)
    const halves = [keys.slice(0, half), keys.slice(half)]
    return (await Promise.all(halves.map((some) => eachOf(run, reading, name, some)))).flat()
  }
}

/** Numbers keep their digits: the objects' texts are joined. */
const withRolled = <Row extends StoredRow>(
  row: Row,
  names: readonly string[],
  rolled: readonly (string | Error)[],
): Row => {
  const texts = [row.fields, ...rolled.filter((one) => typeof one === 'string')]
  const members = texts.map((text) => text.slice(1, -1)).filter((text) => text !== '')
  const faults = new Map(names.flatMap((name, i) => (rolled[i] instanceof Error ? [[name, rolled[i]] as const] : [])))
  return { ...row, fields: `{${members.join(',')}}`, faults }
}
