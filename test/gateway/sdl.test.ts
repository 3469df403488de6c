import { buildClientSchema, buildSchema, type GraphQLObjectType, type GraphQLSchema } from 'graphql'
import { expect, test } from 'vitest'
import { roleSchemaOf } from '../../src/gateway/schema/sdl.ts'
import { runCli } from '../platform/run-cli.ts'
import { readModel } from './support/world.ts'

const model = await readModel('test/graphql/schema')
const typeOf = (schema: GraphQLSchema, type: string, field: string): string | undefined =>
  String((schema.getType(type) as GraphQLObjectType | undefined)?.getFields()[field]?.type)

test('each role has the schema of what it may see, the same each time', () => {
  const agent = roleSchemaOf(model, ['AGENT'], [])
  expect(agent.sdl(false)).toBe(roleSchemaOf(model, ['AGENT'], []).sdl(false))
  const schema = buildSchema(agent.sdl(false))
  expect(typeOf(schema, 'CustomerCard', 'email')).toBe('String!')
  expect(typeOf(schema, 'CustomerCard', 'spent')).toBe('undefined')
  expect(schema.getType('ProductCard')).toBe(undefined)
  expect(schema.getSubscriptionType()?.getFields().customerCardChanged).toBeDefined()
  const more = buildSchema(roleSchemaOf(model, ['AGENT', 'FRAUD'], ['products:read']).sdl(false))
  expect([typeOf(more, 'CustomerCard', 'spent'), more.getType('ProductCard') !== undefined]).toEqual(['Decimal!', true])
  const introspected = buildClientSchema(agent.introspection())
  expect(Object.keys(introspected.getTypeMap()).sort()).toEqual(Object.keys(schema.getTypeMap()).sort())
})

test('typed, what is masked or a token is a scalar of its own, and what is clear is what it was', () => {
  const of = (...roles: string[]) => buildSchema(roleSchemaOf(model, roles, []).sdl(true))
  expect(typeOf(of('AGENT'), 'CustomerCard', 'email')).toBe('Masked!')
  expect(typeOf(of('AGENT'), 'CardOrder', 'payer')).toBe('Masked')
  expect(typeOf(of('AGENT'), 'CustomerCard', 'tier')).toBe('Tier!')
  expect(typeOf(of('FRAUD'), 'CustomerCard', 'email')).toBe('String!')
  expect(of('FRAUD').getType('Masked')).toBe(undefined)
  expect(typeOf(of('SERVICE'), 'CustomerCard', 'email')).toBe('Tokenized!')
})

test('the command prints it, and says which roles there are where one is not known', async () => {
  const env = { FOREBAY_SCHEMA: 'test/graphql/schema' }
  const { code, stdout } = await runCli(['sdl', '--role', 'AGENT', '--typed'], env)
  expect([code, stdout.trim()]).toEqual([0, roleSchemaOf(model, ['AGENT'], []).sdl(true).trim()])
  const json = await runCli(['sdl', '--role', 'AGENT', '--role', 'FRAUD', '--json'], env)
  expect(buildClientSchema(JSON.parse(json.stdout).data).getType('CustomerCard')).toBeDefined()
  for (const [args, said] of [
    [['sdl', '--role', 'NOBODY'], 'no role NOBODY; declared are '],
    [['sdl'], 'say whose schema it is with --role'],
  ] as const) {
    const { code: refused, stderr } = await runCli(args, env)
    expect([refused, stderr]).toEqual([2, expect.stringContaining(said)])
  }
})
