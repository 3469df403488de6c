/**
 * Windows over the members of groups: beside the view's own rollup one for each time and step, by group and step. It feeds nobody: a group's
 * window is summed when its row is read.
 */
import type { Window } from '../event-time.ts'
import type { Model, View } from '../model.ts'
import { entityTable, valueSqlType } from '../names.ts'
import type { RollingColumn } from '../view-table.ts'
import { expiry } from './expiry.ts'
import { openMember } from './group-member.ts'
import { addendColumns, type KeptBeside, type Rollup } from './kept.ts'
import { type KeyColumn, lookup } from './key.ts'
import { rollingColumns, stepsSql, storedFields } from './rolling.ts'
import { membersTable, rollupSql, sumsTable } from './rollup.ts'
import { type Addend, type Compilation, columnOf, entityOf, startCompilation } from './row-scope.ts'
import { scalarOf } from './shape.ts'
import { timeColumns } from './window.ts'

const groupKey: KeyColumn = { name: '_group', type: { kind: 'scalar', scalar: 'String' }, list: false }

/** `read`: what the windows read, as part of another compilation. */
export type GroupWindows = { readonly columns: readonly RollingColumn[]; read(compilation: Compilation): void }
type Steps = { readonly id: string; readonly name: string; readonly window: Window; readonly lastMs: () => number }

export const groupWindows = (model: Model, declared: View, name: string, beside: KeptBeside): GroupWindows => {
  const view = storedFields(declared)
  const rollups = new Map<string, Rollup>()
  const longest = new Map<string, number>()
  const asked: { readonly window: Window; readonly addend: Addend }[] = []
  const rollupFor = (window: Window): Rollup => {
    const id = `group@${[...window.joins, window.column].join('.')}/${window.stepMs}`
    longest.set(id, Math.max(window.lastMs, longest.get(id) ?? 0))
    const known = rollups.get(id)
    if (known) return known
    const steps: Steps = { id, name: `${name}_w${rollups.size + 1}`, window, lastMs: () => longest.get(id)! }
    const made = stepRollup(model, view, steps, beside)
    rollups.set(id, made)
    beside.add(made)
    return made
  }
  const columns = rollingColumns(declared, (field, value, window) => {
    const rollup = rollupFor(window)
    const column: Rollup['column'] = (addend) => {
      asked.push({ window, addend })
      return rollup.column(addend)
    }
    const total = stepsSql(field, value, window, { ...rollup, column }, (alias) => [`${alias}._group = r._group`])
    return `(select x.v::${valueSqlType(scalarOf(field))} from (${total}) x)`
  })
  return {
    columns,
    read: (compilation) => {
      const { row } = openMember(compilation, view)
      for (const { window, addend } of asked) {
        timeColumns(row, window)
        beside.keep.total(compilation, row, [], addend)
      }
    },
  }
}

const stepRollup = (model: Model, view: View, { id, name, window, lastMs }: Steps, { keep }: KeptBeside): Rollup => {
  const entity = entityOf(model, view.of)
  const compilation = startCompilation(model, keep)
  const member = openMember(compilation, view)
  const time = timeColumns(member.row, window)
  const values = addendColumns(compilation, member.row, member.from, keep)
  const steps = expiry(name, window.stepMs, lastMs)
  const [sums, members] = [sumsTable(name), membersTable(name)]
  const sql = () => ({
    rollup: rollupSql({
      name,
      key: entity.key.map((field) => columnOf(entity, field)),
      group: [member.group, time.bucket],
      carried: [],
      values: values.all(),
      own: [time.at],
      raw: (alias) => `jsonb_build_array(${alias}._group, ${alias}.gb)`,
      onRaw: ['s._group = v.value->>0', 's.gb = (v.value->>1)::timestamptz'],
      groups: {
        key: [{ column: '_group', as: groupKey }],
        roots: { table: members, key: ['_group'] },
        members: lookup(members, 'm', ['m._group = k.k0']),
      },
      table: entityTable(entity),
      read: false,
      indexed: true,
      expiry: steps,
      select: (source) =>
        member.select(source, values.all(), {
          columns: [time.bucket, time.at],
          conditions: [time.counts, steps.kept(`(${time.bucket.sql})`)],
        }),
    }),
  })
  return { id, entity, compilation, sums, members, column: values.column, sql }
}
