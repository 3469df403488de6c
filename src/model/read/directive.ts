/** Reading what a directive says, by the language's own definition of it. A value that does not fit was reported already and reads as absent. */
import { type ConstDirectiveNode, type ConstValueNode, Kind, type StringValueNode, valueFromAST } from 'graphql'
import type { Folder } from './document.ts'

export type Directive = {
  readonly node: ConstDirectiveNode
  readonly name: string
  /** The argument as it was written; absent where it was not given. */
  readonly literal: (argument: string) => ConstValueNode | undefined
  /** The argument's value, defaults applied. */
  readonly value: (argument: string) => unknown
}

export const directivesNamed = (
  { language }: Folder,
  { directives = [] }: { readonly directives?: readonly ConstDirectiveNode[] | undefined },
  name: string,
): readonly Directive[] =>
  directives
    .filter((node) => node.name.value === name)
    .map((node) => {
      const literal = (argument: string) => node.arguments?.find((given) => given.name.value === argument)?.value
      return {
        node,
        name,
        literal,
        value: (argument) => {
          const declared = language.getDirective(name)?.args.find((arg) => arg.name === argument)
          const given = literal(argument)
          if (declared === undefined) return undefined
          return given === undefined ? declared.defaultValue : valueFromAST(given, declared.type)
        },
      }
    })

export const directiveNamed = (
  folder: Folder,
  on: { readonly directives?: readonly ConstDirectiveNode[] | undefined },
  name: string,
): Directive | undefined => directivesNamed(folder, on, name)[0]

export const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
export const textsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []

/** GraphQL reads a single value as a list of one. */
export const itemsOf = (node: ConstValueNode | undefined): readonly ConstValueNode[] =>
  node === undefined ? [] : node.kind === Kind.LIST ? node.values : [node]

/** The string literals of an argument, with their places. */
export const textNodes = (node: ConstValueNode | undefined): readonly StringValueNode[] =>
  itemsOf(node).filter((item) => item.kind === Kind.STRING)

/** An object literal's field, as written. */
export const fieldOf = (node: ConstValueNode | undefined, name: string): ConstValueNode | undefined =>
  node?.kind === Kind.OBJECT ? node.fields.find((field) => field.name.value === name)?.value : undefined
