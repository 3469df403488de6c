/** GraphiQL for development, from its npm package: nothing is loaded from elsewhere. `/graphiql#token=…` fills in a token. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Route } from '../platform/http.ts'

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Forebay · GraphiQL</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/graphiql/graphiql.css">
<style>body { margin: 0 } #graphiql { height: 100dvh }</style>
<div id="graphiql"></div>
<script src="/graphiql/react.js"></script>
<script src="/graphiql/react-dom.js"></script>
<script src="/graphiql/graphiql.js"></script>
<script src="/graphiql/start.js"></script>
</html>
`
const start = `const given = new URLSearchParams(location.hash.slice(1))
const token = given.get('token')
const headers = JSON.stringify({ Authorization: 'Bearer ' + (token ?? '<paste a token: forebay token --role AGENT --tenant acme>') }, null, 2)
if (token) localStorage.setItem('graphiql:headers', headers)
const query = given.get('query') ?? undefined
if (query) localStorage.removeItem('graphiql:tabState')
ReactDOM.createRoot(document.getElementById('graphiql')).render(
  React.createElement(GraphiQL, {
    // The headers editor isn't there yet when the schema is first asked for.
    fetcher: GraphiQL.createFetcher({ url: '/graphql', headers: token ? { Authorization: 'Bearer ' + token } : {}, subscriptionUrl: location.href.replace(/^http/, 'ws').replace(/graphiql.*/, 'graphql') }),
    defaultHeaders: headers,
    defaultEditorToolsVisibility: 'headers',
    shouldPersistHeaders: true,
    ...(token ? { headers } : {}),
    ...(query ? { query } : {}),
  }),
)
`

const require = createRequire(import.meta.url)
const folderOf = (name: string): string => dirname(require.resolve(`${name}/package.json`))
/** The builds that run in a browser as they are. */
const files = (): Readonly<Record<string, string>> => ({
  'graphiql.css': join(folderOf('graphiql'), 'graphiql.min.css'),
  'graphiql.js': join(folderOf('graphiql'), 'graphiql.min.js'),
  'react.js': join(folderOf('react'), 'umd/react.production.min.js'),
  'react-dom.js': join(folderOf('react-dom'), 'umd/react-dom.production.min.js'),
})

const route = (path: string, type: string, content: () => Promise<string | Buffer>): Route => ({
  method: 'GET',
  path,
  handle: async ({ response }) => {
    response.writeHead(200, {
      'Content-Type': `${type}; charset=utf-8`,
      'Content-Security-Policy':
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:",
      'X-Content-Type-Options': 'nosniff',
    })
    response.end(await content())
  },
})

export const graphiqlRoutes = (): readonly Route[] => [
  route('/graphiql', 'text/html', async () => page),
  route('/graphiql/start.js', 'text/javascript', async () => start),
  ...Object.entries(files()).map(([name, file]) =>
    route(`/graphiql/${name}`, name.endsWith('.css') ? 'text/css' : 'text/javascript', () => readFile(file)),
  ),
]
