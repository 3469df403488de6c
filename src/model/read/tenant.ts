/** Whose rows an entity's are: a column, a to-one join that leads to one, or nobody's. */

import type { Column, Tenant } from '../model.ts'
import type { EntityDraft } from './declared.ts'
import { directiveNamed, textOf } from './directive.ts'
import type { Folder } from './document.ts'
import { placeOf } from './fault.ts'
import { nameOfType } from './literal.ts'
import { isTenanted, type Scope } from './row.ts'

/** Sets `tenant` and `subject` of every entity. */
export const readTenants = (folder: Folder, scope: Scope, drafts: readonly EntityDraft[]): void => {
  for (const draft of drafts) {
    readTenant(folder, scope, draft)
    readSubject(folder, scope, draft)
  }
  for (const draft of drafts) resolveJoin(folder, scope, drafts, draft)
  const tenanted = drafts.some(({ entity }) => isTenanted(entity))
  for (const { entity, directive, declaration } of drafts) {
    const shared = directive.value('shared') === true
    if (shared && isTenanted(entity))
      scope.report(directive.literal('shared')!, `${entity.name} is shared and has a @tenant`, 'Keep one of them.')
    else if (tenanted && shared) entity.tenant = { kind: 'SHARED' }
    else if (
      tenanted &&
      !isTenanted(entity) &&
      !declaration.fields.some((field) => directiveNamed(folder, field, 'tenant'))
    )
      scope.report(
        entity.place,
        `${entity.name} has no tenant, while other entities of the folder have one`,
        'Put @tenant on its tenant column or on a to-one join that leads to it, or declare `shared: true`.',
      )
  }
  checkJoins(scope, drafts)
}

const readTenant = (folder: Folder, scope: Scope, { entity, declaration }: EntityDraft): void => {
  const marked = declaration.fields.filter((field) => directiveNamed(folder, field, 'tenant'))
  for (const field of marked.slice(1))
    scope.report(
      field.name,
      `${entity.name} has two tenants, ${marked[0]!.name.value} and ${field.name.value}`,
      'Keep one @tenant.',
    )
  const [field] = marked
  if (field === undefined) return
  const name = field.name.value
  const claim = textOf(directiveNamed(folder, field, 'tenant')!.value('claim')) ?? 'tenant'
  const column = entity.columns.find((known) => known.name === name)
  const join = entity.joins.find((known) => known.name === name)
  if (column !== undefined) {
    const fault = columnFault(column)
    if (fault !== undefined)
      scope.report(field.name, `the tenant ${entity.name}.${name} ${fault}`, 'Declare it ID!, String!, Int! or Long!.')
    entity.tenant = { kind: 'COLUMN', column: name, claim }
  } else if (join?.many === true) {
    scope.report(
      field.name,
      `${entity.name}.${name} is to-many, so it gives no tenant`,
      'Put @tenant on a column or a to-one join.',
    )
  } else if (join !== undefined) {
    const pick = directiveNamed(folder, declaration.fields.find((known) => known === field)!, 'join')?.literal('pick')
    if (pick !== undefined)
      scope.report(
        pick,
        `the tenant of ${entity.name} would change with the ${join.target} that is picked`,
        'Put @tenant on a column or on a join to a key.',
      )
    entity.tenant = { kind: 'JOIN', join: name, claim }
  }
}

const columnFault = ({ type, list, nonNull, pii, computed }: Column): string | undefined => {
  if (computed !== undefined) return 'is computed'
  if (list || type.kind === 'enum' || !['ID', 'String', 'Int', 'Long'].includes(type.scalar))
    return `is ${list ? 'a list' : `a ${nameOfType(type)}`}`
  if (!nonNull) return 'may be null'
  return pii === undefined ? undefined : 'is personal data'
}

const readSubject = (folder: Folder, scope: Scope, { entity, declaration }: EntityDraft): void => {
  const marked = declaration.fields.filter((field) => directiveNamed(folder, field, 'subject'))
  for (const field of marked.slice(1))
    scope.report(
      field.name,
      `${entity.name} is about two persons, ${marked[0]!.name.value} and ${field.name.value}`,
      'Keep one @subject.',
    )
  const name = marked[0]?.name.value
  if (name === undefined) return
  if (entity.joins.some((join) => join.name === name && join.many))
    scope.report(
      marked[0]!.name,
      `${entity.name}.${name} is to-many, so it leads to no one person`,
      'Put @subject on a field or a to-one join.',
    )
  entity.subject = name
}

/** Follows tenant joins to the column at their end; the join's claim is that column's. */
const resolveJoin = (
  folder: Folder,
  scope: Scope,
  drafts: readonly EntityDraft[],
  { entity, declaration }: EntityDraft,
): void => {
  const { tenant } = entity
  if (tenant.kind !== 'JOIN') return
  const field = declaration.fields.find((known) => known.name.value === tenant.join)!
  const passed = new Set([entity.name])
  let current: Tenant = tenant
  let at = entity.name
  while (current.kind === 'JOIN') {
    const { join } = current
    const owner = drafts.find((draft) => draft.entity.name === at)!.entity
    at = owner.joins.find((known) => known.name === join)!.target
    if (passed.has(at)) {
      scope.report(
        placeOf(field.name),
        `the tenant of ${entity.name} is looked for in a circle through ${at}`,
        'Put @tenant on a column of one of them.',
      )
      return
    }
    passed.add(at)
    current = drafts.find((draft) => draft.entity.name === at)!.entity.tenant
  }
  if (current.kind !== 'COLUMN') {
    scope.report(
      placeOf(field.name),
      `the tenant of ${entity.name} is that of ${at}, which has none`,
      `Put @tenant on a column of ${at}, or on another join.`,
    )
    return
  }
  const said = directiveNamed(folder, field, 'tenant')!.literal('claim')
  if (said !== undefined && tenant.claim !== current.claim)
    scope.report(
      said,
      `${entity.name} takes its tenant from claim ${tenant.claim}, ${at} from claim ${current.claim}`,
      'Leave the claim out: it is that of the joined row.',
    )
  entity.tenant = { ...tenant, claim: current.claim }
}

/** Tenants on both sides of a join are compared, so they are of one type and one claim. */
const checkJoins = (scope: Scope, drafts: readonly EntityDraft[]): void => {
  for (const { entity } of drafts)
    for (const join of entity.joins) {
      const mine = tenantColumn(drafts, entity.name)
      const theirs = tenantColumn(drafts, join.target)
      if (mine === undefined || theirs === undefined) continue
      if (mine.claim !== theirs.claim || mine.type !== theirs.type)
        scope.report(
          join.place,
          `${entity.name}.${join.name} joins tenants of two kinds: claim ${mine.claim} (${mine.type}) and claim ${theirs.claim} (${theirs.type})`,
          'Give both sides one claim and one type, or declare one side shared.',
        )
    }
}

const tenantColumn = (drafts: readonly EntityDraft[], start: string): { claim: string; type: string } | undefined => {
  let name = start
  for (let hops = 0; hops <= drafts.length; hops++) {
    const entity = drafts.find((draft) => draft.entity.name === name)!.entity
    const { tenant } = entity
    if (tenant.kind === 'COLUMN') {
      const { type } = entity.columns.find((column) => column.name === tenant.column)!
      const text = nameOfType(type)
      return { claim: tenant.claim, type: text === 'ID' ? 'String' : text }
    }
    if (tenant.kind !== 'JOIN') return undefined
    name = entity.joins.find((join) => join.name === tenant.join)!.target
  }
  return undefined
}
