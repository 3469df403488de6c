/**
 * A view with one row per group: a rollup of its root's rows, whose groups it shows. A group's key is the JSON text of its tenant and its
 * group values, in which null is a value like any other.
 */

import type { Model, View } from '../model.ts'
import { columnName, entityTable, ident } from '../names.ts'
import { addsUp } from './aggregate.ts'
import { groupFieldsOf, openMember } from './group-member.ts'
import { groupWindows } from './group-windows.ts'
import { addendColumns, type Rollup, startKeeping } from './kept.ts'
import { type KeyColumn, lookup } from './key.ts'
import { lookupColumns } from './lookup.ts'
import { groupedNodes } from './nodes.ts'
import { proofSql } from './proof.ts'
import type { Reach } from './reach.ts'
import { storedFields } from './rolling.ts'
import { membersTable, rollupSql, sumsTable } from './rollup.ts'
import { extremeLateral, extremeSql, isExtreme } from './rollup-extreme.ts'
import { type Compilation, columnOf, entityOf, isTenanted, openRow, startCompilation } from './row-scope.ts'
import { ddlOf, ownColumns, tablesOf, type ViewSql } from './rows.ts'
import { compileShape, outputName } from './shape.ts'
import { viewKeys } from './view-columns.ts'
import { keptSql } from './view-floor.ts'
import { tableDdl, writeSql } from './view-table.ts'

export const groupedSql = (model: Model, declared: View, name: string): ViewSql => {
  const view = storedFields(declared)
  const root = entityOf(model, view.of)
  const beside = startKeeping(name)
  const compilation = startCompilation(model, beside.keep)
  const member = openMember(compilation, view)
  const values = addendColumns(compilation, member.row, member.from, beside.keep)
  const table = `"forebay_view".${ident(name)}`
  const members = membersTable(name)
  const kept = rowOf(
    {
      ...compilation,
      keep: {
        ...beside.keep,
        total: (reader, _row, from, addend) => {
          const column = values.column(addend)
          if (!isExtreme(addend)) return `g.${ident(column.name)}`
          const group = { columns: ['_group'], values: ['g._group'] }
          return extremeLateral(reader, from, extremeSql(addend.of, members, group, column))
        },
      },
    },
    view,
    table,
    members,
    'g._n',
  )
  const rollup: Rollup = {
    id: 'group',
    entity: root,
    compilation,
    sums: sumsTable(name),
    members,
    column: values.column,
    sql: () => ({
      rollup: rollupSql({
        name,
        key: root.key.map((field) => columnOf(root, field)),
        group: [member.group],
        carried: member.carried,
        values: values.all(),
        raw: (alias) => `jsonb_build_array(${alias}._group)`,
        groups: {
          key: [{ column: '_group', as: textColumn }],
          roots: { table: members, key: ['_group'] },
          members: lookup(members, 'm', ['m._group = k.k0']),
        },
        onRaw: ['s._group = v.value->>0'],
        table: entityTable(root),
        read: view.fields.some(({ value }) => value.kind === 'aggregate' && !addsUp(model, root, value, true)),
        indexed: true,
        select: (source) => member.select(source, values.all()),
      }),
    }),
  }
  beside.add(rollup)
  const windows = groupWindows(model, declared, name, beside)

  const defining = startCompilation(model)
  const definingMember = openMember(defining, view)
  windows.read(defining)
  const defined = rowOf(defining, view, table, 'members', '(select count(*) from members m where m._group = g._group)')
  const columns = [
    { name: '_group', sqlType: 'text' },
    ...member.carried.filter(({ name }) => name !== '_tenant'),
    ...kept.shape.outputs.map(({ field, sqlType }) => ({ name: columnName(field.name), sqlType })),
    { name: '_members', sqlType: 'integer' },
  ]
  const graph = groupedNodes(rollup, beside)
  const groupsOf = `m._group, ${member.carried.map((column) => `m.${ident(column.name)}`).join(', ')}`
  const written = [...columns, ...ownColumns]
  const fresh = kept.select(`select s.* from keys k ${lookup(rollup.sums, 's', ['s._group = k.k0', 's._n > 0'])}`)
  return {
    ...graph,
    shape: { ...kept.shape, outputs: [...member.shape.outputs, ...kept.shape.outputs] },
    tables: [table, ...tablesOf(graph)],
    ddl: [
      tableDdl({ name: table, columns, generated: lookupColumns(view), tenanted: isTenanted(root), key: ['_group'] }),
      ...ddlOf(graph),
    ],
    recompute: writeSql({
      table,
      columns: written.map((column) => column.name),
      key: ['_group'],
      identity: viewKeys(model, view),
      keys: 'select v.value->>0 as k0 from jsonb_array_elements($1::text::jsonb) v',
      fresh,
    }),
    definition: `with members as materialized (${definingMember.select(`${entityTable(root)} r`, [])}) ${defined.select(`select distinct on (m._group) ${groupsOf} from members m`)}`,
    narrow: () => [],
    dependencies: defining.dependencies,
    rolling: windows.columns,
    // Groups can't be found in the entities by their key; that the totals are right is proved of the rollup.
    proof: proofSql({
      table,
      key: [{ column: '_group', as: textColumn }],
      columns: written,
      roots: { table: rollup.sums, key: ['_group'] },
      fresh,
    }),
  }
}

const textColumn: KeyColumn = { name: '_group', type: { kind: 'scalar', scalar: 'String' }, list: false }

/** One group's row. `table`: the view's own. `members`: where the group's rows are looked up; `count`: how many there are. */
const rowOf = (compilation: Compilation, view: View, table: string, members: string, count: string) => {
  const root = entityOf(compilation.model, view.of)
  const groupFields = groupFieldsOf(view)
  const from: string[] = []
  const open = (): Reach => {
    const inner = [
      `${members} m`,
      lookup(entityTable(root), 'rm', [
        ...root.key.map((field, i) => `rm.${ident(columnName(field))} = m.k${i}`),
        'rm._live',
      ]),
    ]
    return { row: openRow(compilation, root, 'rm', [], inner), from: inner, where: ['m._group = g._group'] }
  }
  const others = view.fields.filter((field) => !groupFields.includes(field))
  const shape = compileShape(compilation, others, openRow(compilation, root, 'rm', [], from), from, open, view.fields)
  const base = [
    'g._group',
    'g._tenant',
    `${count}::integer as _members`,
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
  const { retention } = view
  const kept = retention ? ` where ${keptSql(`g.${ident(columnName(retention.on))}`, table)}` : ''
  const select = (groups: string) =>
    `select ${outer.join(', ')} from (select ${base.join(', ')} from (${groups}) g ${from.join(' ')}${kept}) b ${shape.exprs.join(' ')}${whole}`
  return { shape, select }
}
