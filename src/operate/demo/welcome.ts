/** What the demo says on the terminal once queries are answered. */
import type { Caller } from './simulation.ts'

export type CallerToken = { readonly caller: Caller; readonly token: string }

/** A curl line that a POSIX shell takes as pasted. */
export const curlLine = (url: string, token: string, query: string): string => {
  const body = JSON.stringify({ query: query.replace(/\s+/g, ' ').trim() })
  const quoted = `'${body.replaceAll("'", `'\\''`)}'`
  return `curl -s ${url} -H 'content-type: application/json' -H 'authorization: Bearer ${token}' -d ${quoted}`
}

/** GraphiQL with the token and the query filled in; what follows # stays in the browser. */
const graphiqlLink = (url: string, token: string, query: string): string =>
  `${new URL('/graphiql', url)}#${new URLSearchParams({ token, query })}`

const indent = (text: string): string => text.replace(/^(?=.)/gm, '  ')

/** `banner`: what runs and where. `url`: of the GraphQL endpoint. */
export const welcome = (demo: {
  readonly banner: readonly string[]
  readonly url: string
  readonly tokens: readonly CallerToken[]
  readonly query: string
  readonly rate: number
}): string => {
  const { banner, url, tokens, query, rate } = demo
  const widest = Math.max(...tokens.map(({ caller }) => caller.role.length))
  const tenants = [...new Set(tokens.flatMap(({ caller }) => caller.tenant ?? []))].join(', ')
  const [first] = tokens
  return [
    ...banner,
    `Its sources are simulated: ${rate} changes a second. The next start goes on from here.`,
    '',
    `Tokens${tenants && ` of tenant ${tenants}`}, for 8 hours; GraphiQL takes one as header {"authorization": "Bearer …"}:`,
    ...tokens.map(({ caller, token }) => `  ${caller.role.padEnd(widest)}  ${token}`),
    '',
    'A first query:',
    indent(query),
    ...(first
      ? [
          '',
          `In a browser, as ${first.caller.role}:`,
          graphiqlLink(url, first.token, query),
          '',
          'From another terminal:',
          curlLine(url, first.token, query),
        ]
      : []),
    '',
    '',
  ].join('\n')
}
