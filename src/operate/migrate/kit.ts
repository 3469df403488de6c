/** The only door to drizzle: our plain tables in, the SQL that turns one database into the other out. */
import { createRequire } from 'node:module'
import type { AnyPgTable, ExtraConfigColumn, PgColumnBuilderBase, PgTableExtraConfigValue } from 'drizzle-orm/pg-core'
import { type Physical, type Table, type TableColumn, tableName } from './physical.ts'

/**
 * Loaded when first used, and as CommonJS: 0.3 s and 57 MB. Imported as ES modules the two cost 1.5 s and 305 MB.
 */
const load = () => {
  const require = createRequire(import.meta.url)
  return {
    kit: require('drizzle-kit/api') as typeof import('drizzle-kit/api'),
    pg: require('drizzle-orm/pg-core') as typeof import('drizzle-orm/pg-core'),
    raw: (require('drizzle-orm') as typeof import('drizzle-orm')).sql.raw,
  }
}
type Drizzle = ReturnType<typeof load>
let loaded: Drizzle | undefined
const drizzle = (): Drizzle => {
  loaded ??= load()
  return loaded
}

/**
 * Statements, each with its semicolon. drizzle-kit asks at the terminal whether something was renamed when one comparison both
 * drops and creates: the caller sees to it that none does.
 */
export const diff = async (from: Physical, to: Physical): Promise<string[]> => {
  const { kit } = drizzle()
  const schemas = (physical: Physical) => physical.tables.map((table) => table.schema)
  // A schema is created with its first table and never dropped: others may keep things there.
  const statements = await kit.generateMigration(
    snapshot(from, schemas(from)),
    snapshot(to, [...schemas(from), ...schemas(to)]),
  )
  const partitioned = new Map(to.tables.map((table) => [`"${table.schema}"."${table.name}"`, table.partitionBy]))
  return statements.map((statement) => finish(statement.trim(), partitioned))
}

const snapshot = (physical: Physical, schemaNames: readonly string[]) => {
  const { kit, pg } = drizzle()
  const names = new Set(schemaNames.filter((name) => name !== 'public'))
  const schemas = new Map([...names].map((name) => [name, pg.pgSchema(name)]))
  return kit.generateDrizzleJson({
    ...Object.fromEntries([...schemas].map(([name, schema]) => [`schema ${name}`, schema])),
    ...Object.fromEntries(physical.tables.map((table) => [tableName(table), drizzleTable(table, schemas)])),
  })
}

const drizzleTable = (
  table: Table,
  schemas: ReadonlyMap<string, ReturnType<Drizzle['pg']['pgSchema']>>,
): AnyPgTable => {
  const { pg, raw } = drizzle()
  const make = (schemas.get(table.schema)?.table ?? pg.pgTable) as Drizzle['pg']['pgTable']
  const columns = Object.fromEntries(table.columns.map((column) => [column.name, drizzleColumn(column)]))
  return make(table.name, columns, (built): PgTableExtraConfigValue[] => {
    const pick = (names: readonly string[]) => {
      const [first, ...rest] = names.map((name) => built[name])
      if (first === undefined || rest.some((column) => column === undefined))
        throw new Error(`${tableName(table)}: no such column among ${names.join(', ')}`)
      return [first, ...(rest as (typeof first)[])] as [typeof first, ...(typeof first)[]]
    }
    return [
      pg.primaryKey({ name: `${table.name}_pkey`, columns: pick(table.key) }),
      ...(table.uniques ?? []).map((unique) => pg.unique(unique.name).on(...pick(unique.columns))),
      ...(table.checks ?? []).map((check) => pg.check(check.name, raw(check.sql))),
      ...table.indexes.map((index) => {
        const [first, ...rest] = pick(index.columns).map((column, i) =>
          ordered(column, index.orders?.[index.columns[i]!]),
        )
        const on = pg.index(index.name).on(first!, ...rest)
        return index.where === undefined ? on : on.where(raw(index.where))
      }),
    ]
  })
}

/** A column of an index as drizzle has it, put into an order: drizzle's own `desc` has the nulls last. */
const ordered = (column: ExtraConfigColumn, order = 'asc'): ExtraConfigColumn => {
  if (order.startsWith('desc')) column.desc()
  if (order.endsWith('nulls first') || order === 'desc') column.nullsFirst()
  return column
}

const drizzleColumn = (column: TableColumn): PgColumnBuilderBase => {
  const { pg, raw } = drizzle()
  if (column.identity)
    return column.type === 'bigint'
      ? pg.bigint(column.name, { mode: 'bigint' }).generatedAlwaysAsIdentity()
      : pg.integer(column.name).generatedAlwaysAsIdentity()
  const builder = pg.customType<{ data: unknown }>({ dataType: () => column.type })(column.name)
  if (column.notNull) builder.notNull()
  if (column.default !== undefined) builder.default(raw(column.default))
  return column.generated === undefined ? builder : builder.generatedAlwaysAs(raw(column.generated))
}

/** What drizzle leaves out: partitions, schemas that exist already, how stored values are converted, how array and bytea are spelt. */
const finish = (statement: string, partitioned: ReadonlyMap<string, string | undefined>): string => {
  const spelt = statement
    .replaceAll(' collate "C"[]', '[] collate "C"')
    .replaceAll(/("[^"]+") "bytea"/g, '$1 bytea')
    .replaceAll('"undefined"."bytea"', 'bytea')
    .replace(/^CREATE SCHEMA "/, 'CREATE SCHEMA IF NOT EXISTS "')
  const table = /^CREATE TABLE (\S+) \(/.exec(spelt)?.[1]
  const by = table === undefined ? undefined : partitioned.get(table)
  if (by !== undefined) return spelt.replace(/\);$/, `) PARTITION BY ${by};`)
  return spelt.replace(
    /ALTER COLUMN ("(?:[^"]|"")+") SET DATA TYPE ([^;]+?)( collate "C")?;$/,
    'ALTER COLUMN $1 SET DATA TYPE $2$3 USING $1::$2;',
  )
}
