/** The limit of hot keys: node:http and a Map of finished bytes, filled once from the view. */
import { createServer } from 'node:http'
import { connect } from '../../../src/platform/postgres.ts'

const [url, most] = process.argv.slice(2) as [string, string]
const sql = connect(url, { max: 1, name: 'limit' })
const rows = await sql.unsafe<{ id: string; row: string }[]>(
  `select id, row_to_json(v)::text as row from peers.customer_overview v order by id limit ${Number(most)}`,
)
await sql.end()
const answers = new Map(rows.map(({ id, row }) => [id, Buffer.from(row)]))
const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const { id } = JSON.parse(Buffer.concat(chunks).toString()) as { id: string }
    const bytes = answers.get(id)!
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': bytes.length })
    response.end(bytes)
  })
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`listening on ${(server.address() as { port: number }).port}\n`)
})
process.on('SIGTERM', () => process.exit(0))
