/**
 * Rows that a join would bring together but for their tenants (C9). They are left out of every view; an operator asks here how many
 * there are, since each is a fault of some source.
 */
import type { Model } from '../model.ts'
import { columnName, entityTable, ident } from '../names.ts'
import { entityOf, isTenanted, openRow, startCompilation, tenantImplied } from './row-scope.ts'

/** `join`: its coordinate. `count`: SQL of one row, `n`. */
export type Crossing = { readonly join: string; readonly count: string }

/** One for each join between tenanted entities of which neither takes its tenant over that join. Reads both tables. */
export const crossings = (model: Model): readonly Crossing[] =>
  [...model.entities.values()].filter(isTenanted).flatMap((entity) =>
    entity.joins.flatMap((join) => {
      const target = entityOf(model, join.target)
      if (!isTenanted(target) || tenantImplied(entity, target, join)) return []
      const compilation = startCompilation(model)
      const from = [`${entityTable(entity)} p`]
      const parent = openRow(compilation, entity, 'p', [], from)
      const match = join.from.map((name, i) => `c.${ident(columnName(join.to[i]!))} = ${parent.column(name).sql}`)
      from.push(`join ${entityTable(target)} c on ${match.join(' and ')} and c._live`)
      const child = openRow(compilation, target, 'c', [join], from)
      const [mine, theirs] = [parent.tenant()!, child.tenant()!]
      const count = `select count(*)::int as n from ${from.join(' ')} where p._live and ${mine.sql}::text <> ${theirs.sql}::text`
      return [{ join: `${entity.name}.${join.name}`, count }]
    }),
  )
