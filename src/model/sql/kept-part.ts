/**
 * A part that is kept: the shape of one row, computed once for all who list that row, so that a change deep inside it rebuilds this one and
 * not the whole lists it stands in.
 */
import type { Entity, Model, Part } from '../model.ts'
import { collation, columnName, columnSqlType, entityTable, ident } from '../names.ts'
import { partOf, shapeObject } from './compiled-shape.ts'
import { keyArray, keyRows, keyValue, lookup } from './key.ts'
import { type ProofSql, proofSql } from './proof.ts'
import { type Compilation, columnOf, entityOf, type Keep, openRow, startCompilation } from './row-scope.ts'
import { compileShape } from './shape.ts'
import { deleteSql } from './view-table.ts'

/**
 * Its table has the row's key as k0, k1, …, the shape in answer form (`e`), whether something inside was withheld (`i`), and whether the row
 * is whole (`w`): if not, it is withheld itself.
 */
export type PartSql = {
  readonly table: string
  readonly ddl: string
  /** `$1`: keys. Rewrites their rows; yields `k` and `shard` of those that changed. */
  readonly recompute: string
  /** All of it as the definition says, in the columns of its table. */
  readonly definition: string
  readonly proofs: ProofSql
}
export type KeptPart = {
  readonly id: string
  readonly entity: Entity
  readonly compilation: Compilation
  readonly table: string
  /** Some of its rows may not be whole. */
  readonly withholds: boolean
  sql(): { readonly part: PartSql }
}

/** Whether a part reads further rows of its own, many of them: what costs too much to be read again for each row of each list. */
export const isDeep = (compilation: Compilation, part: Part): boolean =>
  part.fields.some(({ value }) => {
    if (value.kind === 'part') return isDeep(compilation, partOf(compilation, value.part))
    return value.kind === 'list' || value.kind === 'first' || value.kind === 'aggregate'
  })

/** `name`: what its table's name begins with. */
export const keptPart = (model: Model, part: Part, id: string, name: string, keep: Keep): KeptPart => {
  const entity = entityOf(model, part.of)
  const table = `"forebay_view".${ident(`${name}_part`)}`
  const compilation = startCompilation(model, keep)
  const { select, withholds } = selectPart(compilation, part)
  const defined = selectPart(startCompilation(model), part)
  const key = entity.key.map((field) => columnOf(entity, field))
  const names = key.map((_, i) => `k${i}`)
  const changed = keyArray(key.map(({ type }, i) => ({ sql: `k${i}`, type })))
  const found = lookup(
    entityTable(entity),
    'r',
    key.map((column, i) => `r.${ident(columnName(column.name))} = k.k${i}`),
  )
  const sql = (): { readonly part: PartSql } => ({
    part: {
      table,
      ddl: `create table ${table} (${[
        ...key.map((column, i) => `k${i} ${columnSqlType(column)}${collation(columnSqlType(column))}`),
        'e jsonb not null',
        'i boolean not null',
        'w boolean not null',
        `primary key (${names.join(', ')})`,
      ].join(', ')})`,
      recompute: `with keys as materialized (select ${key.map((column, i) => `${keyValue('v.value', i, column)} as k${i}`).join(', ')} from jsonb_array_elements($1::text::jsonb) v),
fresh as materialized (${select(`keys k ${found}`)}),
gone as (${deleteSql(table, names)} returning ${names.map((name) => `t.${name}`).join(', ')}),
written as (
  insert into ${table} as t (${names.join(', ')}, e, i, w) select ${names.join(', ')}, e, i, w from fresh order by ${names.join(', ')}
  on conflict (${names.join(', ')}) do update set e = excluded.e, i = excluded.i, w = excluded.w
  where (t.e, t.i, t.w) is distinct from (excluded.e, excluded.i, excluded.w)
  returning ${names.map((name) => `t.${name}`).join(', ')})
${keyRows(changed, '(select * from gone union all select * from written) c')}`,
      definition: defined.select(`${entityTable(entity)} r`),
      proofs: proofSql({
        table,
        key: key.map((as, i) => ({ column: `k${i}`, as })),
        columns: [
          { name: 'e', sqlType: 'jsonb' },
          { name: 'i', sqlType: 'boolean' },
          { name: 'w', sqlType: 'boolean' },
        ],
        roots: { table: entityTable(entity), key: key.map(({ name }) => columnName(name)) },
        fresh: defined.select(`keys k ${found}`),
        near: select(`keys k ${found}`),
      }),
    },
  })
  return { id, entity, compilation, table, withholds, sql }
}

/** Rows of the part's shape over a FROM item in which `r` is its entity. */
const selectPart = (compilation: Compilation, part: Part) => {
  const entity = entityOf(compilation.model, part.of)
  const from: string[] = []
  const row = openRow(compilation, entity, 'r', [], from)
  const shape = compileShape(compilation, part.fields, row, from)
  const base = [...entity.key.map((field, i) => `${row.column(field).sql} as k${i}`), ...shape.select]
  const outer = [
    ...entity.key.map((_, i) => `k${i}`),
    `${shapeObject(shape)} as e`,
    `coalesce(${shape.incomplete}, false) as i`,
    `${shape.complete.length ? `(${shape.complete.join(' and ')})` : 'true'} as w`,
  ]
  const select = (source: string): string =>
    `select ${outer.join(', ')} from (select ${base.join(', ')} from ${source} ${from.join(' ')} where r._live) b ${shape.exprs.join(' ')}`
  return { select, withholds: shape.complete.length > 0 }
}
