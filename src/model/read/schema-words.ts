/** What stands on `extend schema`, and the enums: domains, policies, roles. */
import { type ConstValueNode, Kind } from 'graphql'
import type { Domain, EnumType, PiiClass, Policy } from '../model.ts'
import { type Directive, directiveNamed, directivesNamed, itemsOf, textOf, textsOf } from './directive.ts'
import { described, type EnumDeclaration, type Folder } from './document.ts'
import type { Report } from './fault.ts'
import { optional, type SourceWords, sourceWords } from './source.ts'

export const readEnums = (folder: Folder, report: Report): ReadonlyMap<string, EnumType> =>
  new Map([...folder.enums.values()].map((declaration) => [declaration.name, readEnum(folder, declaration, report)]))

const readEnum = (
  folder: Folder,
  { name, node: declared, description, values }: EnumDeclaration,
  report: Report,
): EnumType => {
  if (values.length === 0) report(declared.name, `${name} has no values`, 'Give it one, or remove it.')
  const texts = new Map<string, string>()
  let other: string | undefined
  for (const node of values) {
    const value = directiveNamed(folder, node, 'value')
    const of = textOf(value?.value('of'))
    // A declared text matches exactly, a name ignoring case and with `-` and space read as `_`.
    const text = of ?? node.name.value.toUpperCase()
    const taken = texts.get(text)
    if (taken !== undefined)
      report(
        node.name,
        `${name}.${node.name.value} and ${name}.${taken} are both the source text "${text}"`,
        'Give one of them another @value(of: …).',
      )
    texts.set(text, node.name.value)
    if (value?.value('other') === true) {
      if (other !== undefined)
        report(
          value.node,
          `${name} has two values for other texts, ${other} and ${node.name.value}`,
          'Keep one `other: true`.',
        )
      other = node.name.value
    }
  }
  return {
    name,
    ...optional('description', description),
    ...optional('other', other),
    values: values.map((node) => ({
      name: node.name.value,
      ...optional('text', textOf(directiveNamed(folder, node, 'value')?.value('of'))),
      ...described(node),
    })),
  }
}

export type DomainDraft = Domain & { readonly source: SourceWords; readonly at: Directive }

export const readDomains = (folder: Folder, report: Report): ReadonlyMap<string, DomainDraft> => {
  const domains = new Map<string, DomainDraft>()
  for (const directive of directivesNamed(folder, folder, 'domain')) {
    const name = textOf(directive.value('name'))
    if (name === undefined) continue
    const at = directive.literal('name') ?? directive.node
    if (domains.has(name)) report(at, `domain ${name} is declared twice`, 'Keep one of them.')
    else if (!/^[a-z][a-z0-9_]{0,62}$/.test(name) || /^pg_|^information_schema$|^forebay_view$/.test(name))
      report(
        at,
        `"${name}" can not be a Postgres schema of Forebay`,
        'Write lower-case letters, digits and `_`, at most 63, and none of pg_…, information_schema and forebay_view.',
      )
    domains.set(name, {
      name,
      owner: textOf(directive.value('owner')) ?? '',
      ...optional('contact', textOf(directive.value('contact'))),
      source: sourceWords(directive.literal('source'), directive.value('source')),
      at: directive,
    })
  }
  return domains
}

export const rolesOf = (folder: Folder): readonly string[] => enumNames(folder, 'Role')

const enumNames = (folder: Folder, name: string): readonly string[] => {
  const type = folder.language.getType(name)
  return type !== undefined && 'getValues' in type ? type.getValues().map((value) => value.name) : []
}

/** Kinds with a documented masked form: the language's, CONFIDENTIAL apart. */
const maskedKinds: readonly string[] = [
  'EMAIL',
  'PHONE',
  'NAME',
  'ADDRESS',
  'CARD',
  'NATIONAL_ID',
  'DATE_OF_BIRTH',
  'FREE_TEXT',
]

export const readPolicies = (folder: Folder, report: Report): ReadonlyMap<string, Policy> => {
  const policies = new Map<string, Policy>()
  for (const directive of directivesNamed(folder, folder, 'policy')) {
    const role = textOf(directive.value('role'))
    if (role === undefined) continue
    if (policies.has(role)) report(directive.node, `${role} has two policies`, 'Join them into one @policy.')
    const reveal = directive.literal('reveal')
    if (reveal !== undefined)
      report(
        reveal,
        '`reveal` of @policy is not running yet',
        'Leave it out: the role sees these kinds as `masked` or `clear` says.',
      )
    checkKinds(directive, role, report)
    policies.set(role, {
      role,
      clear: textsOf(directive.value('clear')),
      tokenized: textsOf(directive.value('tokenized')),
      masked: textsOf(directive.value('masked')),
      upTo: (textOf(directive.value('upTo')) ?? 'SENSITIVE') as PiiClass,
    })
  }
  return policies
}

const checkKinds = (directive: Directive, role: string, report: Report): void => {
  const found = new Map<string, string>()
  for (const list of ['clear', 'tokenized', 'masked'])
    for (const node of itemsOf(directive.literal(list))) {
      const kind = kindOf(node)
      if (kind === undefined) continue
      const earlier = found.get(kind)
      if (earlier !== undefined)
        report(node, `${role} sees ${kind} both ${earlier} and ${list}`, 'Name a kind in one list.')
      else if (list === 'masked' && !maskedKinds.includes(kind))
        report(node, `${kind} has no masked form`, 'Write it under tokenized or clear, or leave it out to hide it.')
      found.set(kind, list)
    }
}

const kindOf = (node: ConstValueNode): string | undefined => (node.kind === Kind.ENUM ? node.value : undefined)
