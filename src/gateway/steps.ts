/** What stands between HTTP and an answer: the request as the shell gives it, and the steps it asks for. */
import type { DocumentNode, ExecutionResult, OperationDefinitionNode } from 'graphql'
import type { Answer } from './answer-cache/answers.ts'
import type { Context } from './context.ts'
import type { Variables } from './variables.ts'

export type Steps = {
  /** Throws what refuses the operation. */
  plan(document: DocumentNode, operation: OperationDefinitionNode, variables: Variables, context: Context): void
  /** Once it is planned. Rejects with what refuses the operation; undefined where there is nothing to wait for. */
  wait(variables: Variables, context: Context): Promise<void> | undefined
  execute(
    document: DocumentNode,
    operationName: string | undefined,
    variables: Variables,
    context: Context,
  ): Promise<ExecutionResult>
  /** What the answer says of itself. */
  respond(context: Context): {
    readonly extensions: Readonly<Record<string, unknown>>
    readonly headers: readonly (readonly [string, string])[]
  }
}
export type GraphqlRequest = {
  readonly method: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** With its `?`. */
  readonly search: string
  /** Of GET: what its parameters come to. */
  readonly body: unknown
}
export type GraphqlAnswer = {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly text: string
  /** Where the text's data are kept. */
  readonly kept?: Answer
}
/** An operation, as it was asked for. */
export type AskedOperation = {
  readonly query: string
  readonly operationName: string | undefined
  readonly variables: Variables
}
