/** `forebay sdl`: the GraphQL schema as some roles see it, for editors, reviews and code generators. */
import { roleSchemaOf } from '../gateway/schema/sdl.ts'
import { readModel } from './read-model.ts'
import { type Input, print, UsageError } from './verb.ts'

/** Returns the exit code. Throws UsageError for a role that the folder doesn't declare. */
export const runSdl = async ({ config, texts, flag }: Input): Promise<number> => {
  const model = await readModel(config.schema)
  const roles = texts('role').flatMap((role) => role.split(','))
  const unknown = roles.filter((role) => !model.roles.includes(role))
  if (unknown.length > 0 || roles.length === 0)
    throw new UsageError(
      `sdl: ${roles.length === 0 ? 'say whose schema it is with --role' : `no role ${unknown.join(', ')}`}; declared are ${model.roles.join(', ')}`,
    )
  const schema = roleSchemaOf(model, roles, texts('scope'))
  print(flag('json') ? JSON.stringify({ data: schema.introspection() }, null, 2) : schema.sdl(flag('typed')))
  return 0
}
