/**
 * The limit of reads by key: node:http and postgres.js, the row's text passed through unparsed. `one`: a statement a request; `batch`: one for all
 * requests of a turn of the event loop.
 */
import { createServer } from 'node:http'
import { connect } from '../../../src/platform/postgres.ts'

const [url, how] = process.argv.slice(2) as [string, string]
const sql = connect(url, { max: 10, name: 'limit' })

type Row = { readonly id: string; readonly row: string }
const one = async (id: string): Promise<string | undefined> => {
  const text = 'select id, row_to_json(v)::text as row from peers.customer_overview v where id = $1'
  const [row] = await sql.unsafe<Row[]>(text, [id], { prepare: true })
  return row?.row
}
let waiting = new Map<string, PromiseWithResolvers<string | undefined>>()
const dispatch = async (): Promise<void> => {
  const batch = waiting
  waiting = new Map()
  const text = 'select id, row_to_json(v)::text as row from peers.customer_overview v where id = any($1::text[])'
  try {
    const rows = await sql.unsafe<Row[]>(text, [`{${[...batch.keys()].join()}}`], { prepare: true })
    const found = new Map(rows.map(({ id, row }) => [id, row]))
    for (const [id, { resolve }] of batch) resolve(found.get(id))
  } catch (error) {
    for (const { reject } of batch.values()) reject(error)
  }
}
const batched = (id: string): Promise<string | undefined> => {
  if (waiting.size === 0) setImmediate(dispatch)
  const asked = waiting.get(id) ?? Promise.withResolvers<string | undefined>()
  waiting.set(id, asked)
  return asked.promise
}
const read = how === 'batch' ? batched : one

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', async () => {
    const { id } = JSON.parse(Buffer.concat(chunks).toString()) as { id: string }
    const row = (await read(id)) ?? 'null'
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(row) })
    response.end(row)
  })
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`listening on ${(server.address() as { port: number }).port}\n`)
})
process.on('SIGTERM', () => process.exit(0))
