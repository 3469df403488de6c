/**
 * The schema as some roles see it, as text. `typed`: values that these roles see only masked or as tokens are scalars of their own, so that
 * generated types keep them from being taken for the values themselves.
 */
import {
  type DocumentNode,
  type GraphQLSchema,
  type IntrospectionQuery,
  introspectionFromSchema,
  Kind,
  lexicographicSortSchema,
  parse,
  print,
  printSchema,
  type TypeNode,
  visit,
} from 'graphql'
import type { Model } from '../../model/model.ts'
import { createVerdicts, type Shape, type Verdict } from '../access/verdict.ts'
import { viewBasis } from '../freshness/freshness.ts'
import { graphqlSchema, sharedTypes } from './schema.ts'

const scalars = {
  masked: { name: 'Masked', says: 'A value as it is shown to who may not see it clear.' },
  tokenized: { name: 'Tokenized', says: 'What stands for a value: equal values of a tenant have equal tokens.' },
} as const
type Form = keyof typeof scalars

export type RoleSchema = { sdl(typed: boolean): string; introspection(): IntrospectionQuery }

/** `roles`, `scopes`: as a token would carry them. */
export const roleSchemaOf = (model: Model, roles: readonly string[], scopes: readonly string[]): RoleSchema => {
  const tables = new Map([...model.views.values()].map((view) => [view.name, viewBasis(model, view).table]))
  const verdict = createVerdicts(model)(roles, scopes)
  const schema: GraphQLSchema = lexicographicSortSchema(graphqlSchema(model, tables, sharedTypes(model), verdict))
  return {
    sdl: (typed) => (typed ? typedSdl(schema, formsOf(model, verdict)) : printSchema(schema)),
    introspection: () => introspectionFromSchema(schema),
  }
}

type Forms = ReadonlyMap<string, Form>
/** By coordinate. A value that is shown in another form in other rows, or at another place, counts as the least revealing. */
const formsOf = (model: Model, verdict: Verdict): Forms => {
  const forms = new Map<string, Form>()
  const walk = (type: string, shape: Shape): void => {
    for (const [name, { form, part }] of shape) {
      const coordinate = `${type}.${name}`
      if (form === 'masked' || (form === 'tokenized' && !forms.has(coordinate))) forms.set(coordinate, form)
      const fields = model.views.get(type)?.fields ?? model.parts.get(type)?.fields
      const field = fields?.find((one) => one.name === name)
      if (part && field?.type.kind === 'part') walk(field.type.part, part)
    }
  }
  for (const { view, shape, classShapes } of verdict.views.values())
    for (const one of [shape, ...classShapes]) walk(view.name, one)
  return forms
}

const typedSdl = (schema: GraphQLSchema, forms: Forms): string => {
  const used = new Set(forms.values())
  let type = ''
  const named = (node: TypeNode, form: Form): TypeNode =>
    node.kind === Kind.NAMED_TYPE
      ? { kind: Kind.NAMED_TYPE, name: { kind: Kind.NAME, value: scalars[form].name } }
      : ({ ...node, type: named(node.type, form) } as TypeNode)
  const document: DocumentNode = visit(parse(printSchema(schema)), {
    ObjectTypeDefinition: {
      enter: (node) => {
        type = node.name.value
      },
    },
    InputObjectTypeDefinition: { enter: () => false },
    FieldDefinition: {
      leave: (node) => {
        const form = forms.get(`${type}.${node.name.value}`)
        return form ? { ...node, type: named(node.type, form) } : undefined
      },
    },
  })
  const declared = [...used].sort().map((form) => `"${scalars[form].says}"\nscalar ${scalars[form].name}\n`)
  return [print(document), ...declared].join('\n\n')
}
