/**
 * The folder's SDL as syntax: parsed file by file, judged against the language's directives, definitions and extensions merged.
 * graphql-js's `buildSchema` checks no directive values and drops places, so the rules are run here one by one.
 */
import {
  buildASTSchema,
  type ConstDirectiveNode,
  type DefinitionNode,
  type DocumentNode,
  type EnumTypeDefinitionNode,
  type EnumTypeExtensionNode,
  type EnumValueDefinitionNode,
  type FieldDefinitionNode,
  GraphQLError,
  type GraphQLSchema,
  Kind,
  type ObjectTypeDefinitionNode,
  type ObjectTypeExtensionNode,
  parse,
  Source,
  TypeInfo,
  ValidationContext,
  ValuesOfCorrectTypeRule,
  visit,
  visitWithTypeInfo,
} from 'graphql'
import { validateSDL } from 'graphql/validation/validate.js'
import { instead, placeOf, type Report } from './fault.ts'

export type File = { readonly name: string; readonly text: string }

export type TypeDeclaration = {
  readonly name: string
  readonly node: ObjectTypeDefinitionNode
  readonly description?: string
  readonly fields: readonly FieldDefinitionNode[]
  readonly directives: readonly ConstDirectiveNode[]
}
export type EnumDeclaration = {
  readonly name: string
  readonly node: EnumTypeDefinitionNode
  readonly description?: string
  readonly values: readonly EnumValueDefinitionNode[]
}
export type Folder = {
  /** The language alone, with the folder's roles and kinds: what directive arguments are read by. */
  readonly language: GraphQLSchema
  readonly types: ReadonlyMap<string, TypeDeclaration>
  readonly enums: ReadonlyMap<string, EnumDeclaration>
  /** What stands on `extend schema`. */
  readonly directives: readonly ConstDirectiveNode[]
  /** Definitions that could not be parsed: named, so that what refers to them is not called unknown. */
  readonly unread: ReadonlySet<string>
}

export const readFolder = (languageFile: File, files: readonly File[], report: Report): Folder => {
  const unread = new Set<string>()
  const language = parse(new Source(languageFile.text, languageFile.name)).definitions
  const own = files.flatMap((file) => parseFile(file, report, unread))
  const declared = own.filter((definition) => belongs(definition, report))
  const all: DocumentNode = { kind: Kind.DOCUMENT, definitions: [...language, ...declared] }
  const words: Words = {
    language: languageFile.name,
    unread,
    directives: language.flatMap((node) => (node.kind === Kind.DIRECTIVE_DEFINITION ? [node.name.value] : [])),
    types: [
      ...['ID', 'String', 'Int', 'Float', 'Boolean', 'Long', 'Decimal', 'DateTime', 'Date', 'JSON'],
      ...declared.flatMap((node) => ('name' in node && node.name !== undefined ? [node.name.value] : [])),
    ],
  }
  for (const error of validateSDL(all)) reportSyntax(error, report, words)

  const extended = declared.filter((definition) => definition.kind === Kind.ENUM_TYPE_EXTENSION)
  const names = new Set(language.map((definition) => ('name' in definition ? definition.name?.value : undefined)))
  const schema = buildASTSchema(
    { kind: Kind.DOCUMENT, definitions: [...language, ...extended.filter(({ name }) => names.has(name.value))] },
    { assumeValid: true, assumeValidSDL: true },
  )
  checkValues(schema, { kind: Kind.DOCUMENT, definitions: declared }, report)
  return { language: schema, ...merge(declared), unread }
}

/** Parses one file; a definition with a syntax error is reported and left out, so that the others are still judged. */
const parseFile = (file: File, report: Report, unread: Set<string>): readonly DefinitionNode[] => {
  let text = file.text
  for (;;) {
    try {
      return parse(new Source(text, file.name)).definitions
    } catch (error) {
      if (!(error instanceof GraphQLError)) throw error
      const at = error.locations?.[0] ?? { line: 1, column: 1 }
      const lines = text.split('\n')
      if (lines.every((line) => /^\s*(#.*)?$/.test(line))) return []
      report(
        { file: file.name, ...at },
        error.message.replace(/\.$/, ''),
        'Write it as GraphQL SDL; look for an unclosed brace, parenthesis or quote just before.',
      )
      const [from, to] = definitionAround(lines, at.line - 1)
      for (let line = from; line < to; line++) {
        const name = /^(?:extend\s+)?(?:type|enum)\s+(\w+)/.exec(lines[line]!)?.[1]
        if (name !== undefined) unread.add(name)
        lines[line] = ''
      }
      text = lines.join('\n')
    }
  }
}

const opening = /^(type|enum|extend|directive|scalar|input|interface|union|schema)\b/

/** Lines [from, to) of the definition that holds a syntax error. An error at a definition's head is its predecessor's open brace. */
const definitionAround = (lines: readonly string[], line: number): readonly [number, number] => {
  const before = (end: number): number => lines.findLastIndex((text, index) => index <= end && opening.test(text))
  const own = before(line)
  const from = own === line && before(line - 1) >= 0 ? before(line - 1) : Math.max(own, 0)
  const next = lines.findIndex((text, index) => index > from && opening.test(text))
  return [from, Math.max(next < 0 ? lines.length : next, from + 1, own === line && from < own ? 0 : line + 1)]
}

const belongs = (definition: DefinitionNode, report: Report): boolean => {
  switch (definition.kind) {
    case Kind.OBJECT_TYPE_DEFINITION:
    case Kind.OBJECT_TYPE_EXTENSION:
    case Kind.ENUM_TYPE_DEFINITION:
    case Kind.ENUM_TYPE_EXTENSION:
      return true
    case Kind.SCHEMA_EXTENSION:
      for (const operation of definition.operationTypes ?? [])
        report(operation, `the schema's ${operation.operation} type is generated`, 'Remove it; declare a @view.')
      return true
    case Kind.OPERATION_DEFINITION:
    case Kind.FRAGMENT_DEFINITION:
      report(
        definition,
        'a query stands in the schema folder',
        'Keep operations elsewhere; here stand only types, enums and `extend schema`.',
      )
      return false
    default:
      report(
        definition,
        `a schema folder declares no ${definition.kind.replace(/(TypeDefinition|TypeExtension|Definition|Extension)$/, '').toLowerCase()} of its own`,
        'Use object types with @entity, @view or @part, enums, and `extend schema @domain(…) @policy(…)`.',
      )
      return false
  }
}

const remedies: readonly (readonly [RegExp, string])[] = [
  [/^There can be only one|can only be defined once/, 'Keep one of them.'],
  [/may not be used on/, 'Move it to where forebay.graphql allows it.'],
  [/is required/, 'Add the argument.'],
  [/cannot be used more than once|can not be used more than once/i, 'Keep one of them.'],
  // What can't be said yet, with what comes nearest.
  [
    /^Unknown argument "distinct" on directive "@(list|first)"/,
    'Lists of different values are not expressible: list with a greater `first` and leave repeats out, or @count with `distinct`.',
  ],
  [
    /^Unknown argument "window" on directive "@(list|first)"/,
    'Windows inside lists are not expressible: order by the time and take the `first`, or @count, @sum or @avg with the `window`.',
  ],
  [
    /^Unknown argument "window" on directive "@(min|max)"/,
    'The least and the greatest of a window are not expressible: @first in the order of the time, or @count, @sum or @avg with the `window`.',
  ],
  [
    /^Unknown argument "(where|on|between)" on directive "@join"/,
    'Joins on ranges are not expressible: join by equal values, and narrow by `where` where the rows are counted or listed.',
  ],
  [
    /^Unknown argument "distinct" on directive "@(sum|avg)"/,
    'Sums of different values are not expressible: make an entity whose rows have each value once.',
  ],
  [/^Unknown argument|^Field .* is not defined by type/, 'Remove it; forebay.graphql lists what may stand here.'],
]

/** What may be written where GraphQL's own rules meet an unknown name. */
type Words = {
  /** The language's own file. */
  readonly language: string
  readonly unread: ReadonlySet<string>
  readonly directives: readonly string[]
  readonly types: readonly string[]
}

const reportSyntax = (error: GraphQLError, report: Report, words: Words): void => {
  // Of a clash with the language itself, the folder's side is at fault.
  const nodes = (error.nodes ?? []).filter((known) => known.loc?.source.name !== words.language)
  const node = /only|once/.test(error.message) ? nodes.at(-1) : nodes[0]
  const place = node?.loc === undefined ? { file: 'schema', line: 1, column: 1 } : placeOf(node)
  const [problem = '', hint] = error.message.split(/ Did you mean (?:the enum value )?/)
  const [, type] = /^(?:Unknown type|Cannot extend type) "(\w+)"/.exec(problem) ?? []
  const [, directive] = /^Unknown directive "@(\w+)"/.exec(problem) ?? []
  if (type !== undefined && words.unread.has(type)) return
  const remedy =
    nodes.length < (error.nodes ?? []).length
      ? 'Choose another name: the language itself has this one.'
      : type !== undefined
        ? instead(type, words.types)
        : directive !== undefined
          ? instead(directive, words.directives).replace(/^Write /, 'Write @')
          : hint !== undefined
            ? `Write ${hint.replace(/\?$/, '').replaceAll('"', '')}.`
            : (remedies.find(([pattern]) => pattern.test(problem))?.[1] ?? 'forebay.graphql says what may stand here.')
  report(place, problem.replace(/\.$/, ''), remedy)
}

const noWords: Words = { language: '', unread: new Set(), directives: [], types: [] }

const checkValues = (language: GraphQLSchema, document: DocumentNode, report: Report): void => {
  const types = new TypeInfo(language)
  const context = new ValidationContext(language, document, types, (error) => reportSyntax(error, report, noWords))
  visit(document, visitWithTypeInfo(types, ValuesOfCorrectTypeRule(context)))
}

const merge = (definitions: readonly DefinitionNode[]): Pick<Folder, 'types' | 'enums' | 'directives'> => {
  const types = new Map<string, TypeDeclaration>()
  const enums = new Map<string, EnumDeclaration>()
  const extensions = (kind: Kind, name: string) =>
    definitions.filter(
      (definition) => definition.kind === kind && 'name' in definition && definition.name?.value === name,
    )
  for (const node of definitions) {
    if (node.kind === Kind.OBJECT_TYPE_DEFINITION && !types.has(node.name.value)) {
      const parts = [node, ...(extensions(Kind.OBJECT_TYPE_EXTENSION, node.name.value) as ObjectTypeExtensionNode[])]
      types.set(node.name.value, {
        name: node.name.value,
        node,
        ...described(node),
        fields: first(parts.flatMap((part) => part.fields ?? [])),
        directives: parts.flatMap((part) => part.directives ?? []),
      })
    }
    if (node.kind === Kind.ENUM_TYPE_DEFINITION && !enums.has(node.name.value)) {
      const parts = [node, ...(extensions(Kind.ENUM_TYPE_EXTENSION, node.name.value) as EnumTypeExtensionNode[])]
      enums.set(node.name.value, {
        name: node.name.value,
        node,
        ...described(node),
        values: first(parts.flatMap((part) => part.values ?? [])),
      })
    }
  }
  const directives = definitions.flatMap((node) => (node.kind === Kind.SCHEMA_EXTENSION ? (node.directives ?? []) : []))
  return { types, enums, directives }
}

/** The first of each name; that there are more has been reported. */
const first = <T extends { readonly name: { readonly value: string } }>(nodes: readonly T[]): readonly T[] =>
  nodes.filter((node, index) => nodes.findIndex((known) => known.name.value === node.name.value) === index)

/** A definition's description, if it has one. */
export const described = (node: {
  readonly description?: { readonly value: string } | undefined
}): { readonly description?: string } => (node.description === undefined ? {} : { description: node.description.value })
