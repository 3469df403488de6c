/**
 * A view with one row per group. `members` holds the group of each root row; a group's key is the JSON text of its tenant and its
 * group values, in which null is a value like any other.
 */

import type { Field, View } from '../model.ts'
import { collation, columnName, columnSqlType, entityTable, ident } from '../names.ts'
import { answerSql } from './answer.ts'
import { keyRows, keyValue, lookup } from './key.ts'
import { lookupColumns } from './lookup.ts'
import type { Reach } from './reach.ts'
import { type Compilation, columnOf, entityOf, isTenanted, openRow } from './row-scope.ts'
import type { ViewSql } from './rows.ts'
import { compileShape, outputName } from './shape.ts'
import { viewKeys } from './view-columns.ts'
import { deleteSql, tableDdl, writeSql } from './view-table.ts'
import { whereSql } from './where.ts'

export const groupedSql = (compilation: Compilation, view: View, name: string): ViewSql => {
  const root = entityOf(compilation.model, view.of)
  const table = `"forebay_view".${ident(name)}`
  const members = `"forebay_view".${ident(`${name}_members`)}`
  const groupFields = view.groupBy!.map((field) => view.fields.find((candidate) => candidate.name === field)!)
  const otherFields = view.fields.filter((field) => !groupFields.includes(field))

  // One root row's group.
  const memberFrom: string[] = []
  const member = openRow(compilation, root, 'r', [], memberFrom)
  const groupShape = compileShape(compilation, groupFields, member, memberFrom)
  const tenant = isTenanted(root) ? member.tenant() : null
  const conditions = [
    'r._live',
    ...(tenant ? [`${tenant.sql} is not null`] : []),
    ...(view.where ? [whereSql(view.where, member)] : []),
  ]
  const key = root.key.map((field, i) => ({ field, column: `k${i}`, type: columnSqlType(columnOf(root, field)) }))
  const groupColumns = groupShape.outputs.map(({ field, sqlType }) => ({ name: columnName(field.name), sqlType }))
  const group = `jsonb_build_array(${['_tenant', ...groupShape.outputs.map(({ field, sql }) => groupValue(field, sql))].join(', ')})`
  const complete = groupShape.complete.length ? ` where ${groupShape.complete.join(' and ')}` : ''
  const membersOf = (source: string): string =>
    `select ${[
      ...key.map(({ column }) => column),
      '_tenant',
      ...groupShape.outputs.map(({ field, sql }) => `${sql} as ${ident(columnName(field.name))}`),
      `${group}::text as _group`,
    ].join(', ')} from (select ${[
      ...key.map(({ field, column }) => `r.${ident(columnName(field))} as ${column}`),
      `${tenant ? `${tenant.sql}::text` : 'null::text'} as _tenant`,
      ...groupShape.select,
    ].join(
      ', ',
    )} from ${source} ${memberFrom.join(' ')} where ${conditions.join(' and ')}) b ${groupShape.exprs.join(' ')}${complete}`

  // One group's row. `groups` yields the group columns; `memberRows` are the members' own table, or its definition.
  const rowOf = (memberRows: string) => {
    const from: string[] = []
    const open = (): Reach => {
      const inner = [
        `${memberRows} m`,
        lookup(entityTable(root), 'rm', [
          ...key.map(({ field, column }) => `rm.${ident(columnName(field))} = m.${column}`),
          'rm._live',
        ]),
      ]
      return { row: openRow(compilation, root, 'rm', [], inner), from: inner, where: ['m._group = g._group'] }
    }
    const shape = compileShape(compilation, otherFields, openRow(compilation, root, 'rm', [], from), from, open)
    const base = [
      'g._group',
      'g._tenant',
      `(select count(*) from ${memberRows} m where m._group = g._group)::integer as _members`,
      ...groupFields.map((field) => `g.${ident(columnName(field.name))} as ${outputName(field.name)}`),
      ...shape.select,
    ]
    const outer = [
      '_group',
      '_tenant',
      '_members',
      ...groupFields.map((field) => `${outputName(field.name)} as ${ident(columnName(field.name))}`),
      ...shape.outputs.map(({ field, sql }) => `${sql} as ${ident(columnName(field.name))}`),
      `(${shape.incomplete}) as _incomplete`,
    ]
    const whole = shape.complete.length ? ` where ${shape.complete.join(' and ')}` : ''
    const select = (groups: string) =>
      `select ${outer.join(', ')} from (select ${base.join(', ')} from (${groups}) g ${from.join(' ')}) b ${shape.exprs.join(' ')}${whole}`
    return { shape, select }
  }
  const groupColumnsOf = `m._group, m._tenant, ${groupColumns.map((column) => `m.${ident(column.name)}`).join(', ')}`

  const kept = rowOf(members)
  const defined = rowOf('members')
  const columns = [
    { name: '_group', sqlType: 'text' },
    ...groupColumns,
    ...kept.shape.outputs.map(({ field, sqlType }) => ({ name: columnName(field.name), sqlType })),
    { name: '_members', sqlType: 'integer' },
  ]
  const onMember = key.map(({ column }, i) => `m.${column} = k.k${i}`)
  const memberColumns = [
    ...key.map(({ column }) => column),
    '_tenant',
    ...groupColumns.map((column) => ident(column.name)),
    '_group',
  ]
  return {
    shape: { ...kept.shape, outputs: [...groupShape.outputs, ...kept.shape.outputs] },
    tables: [table, members],
    ddl: [
      tableDdl({ name: table, columns, generated: lookupColumns(view), tenanted: tenant !== null, key: ['_group'] }),
      `create table ${members} (${[
        ...key.map(({ column, type }) => `${column} ${type}${collation(type)}`),
        '_tenant text collate "C"',
        ...groupColumns.map((column) => `${ident(column.name)} ${column.sqlType}${collation(column.sqlType)}`),
        '_group text collate "C" not null',
        `primary key (${key.map(({ column }) => column).join(', ')})`,
      ].join(', ')})`,
      `create index ${ident(`${name.slice(0, 50)}_group_idx`)} on ${members} (_group)`,
    ],
    regroup: `with keys as materialized (select ${key.map(({ field }, i) => `${keyValue('v.value', i, columnOf(root, field))} as k${i}`).join(', ')} from jsonb_array_elements($1::text::jsonb) v),
fresh as materialized (${membersOf(
      `keys k ${lookup(
        entityTable(root),
        'r',
        key.map(({ field, column }) => `r.${ident(columnName(field))} = k.${column}`),
      )}`,
    )}),
before as materialized (select m._group from keys k ${lookup(members, 'm', onMember)}),
gone as (${deleteSql(
      members,
      key.map(({ column }) => column),
    )}),
written as (
  insert into ${members} as m (${memberColumns.join(', ')}) select ${memberColumns.join(', ')} from fresh order by ${key.map(({ column }) => column).join(', ')}
  on conflict (${key.map(({ column }) => column).join(', ')}) do update
  set ${memberColumns
    .slice(key.length)
    .map((column) => `${column} = excluded.${column}`)
    .join(', ')}
  where m._group is distinct from excluded._group)
${keyRows('jsonb_build_array(_group)', '(select _group from before union all select _group from fresh) g')}`,
    recompute: writeSql({
      table,
      columns: [...columns.map((column) => column.name), '_tenant', '_incomplete'],
      key: ['_group'],
      identity: viewKeys(compilation.model, view),
      keys: 'select v.value->>0 as k0 from jsonb_array_elements($1::text::jsonb) v',
      fresh: kept.select(`select ${groupColumnsOf} from keys k ${lookup(members, 'm', ['m._group = k.k0'], 1)}`),
    }),
    definition: `with members as materialized (${membersOf(`${entityTable(root)} r`)}) ${defined.select(`select distinct on (m._group) ${groupColumnsOf} from members m`)}`,
  }
}

/** A group value as it stands in the group's key: exact, and independent of the session's settings. */
const groupValue = (field: Field, sql: string): string =>
  field.type.kind === 'part' ? sql : answerSql(sql, field.type)
