/** The limit of reads: node:http and postgres.js, one statement a request, the row's text passed through unparsed. */
import { createServer } from 'node:http'
import { connect } from '../../../src/platform/postgres.ts'

const [url, table] = process.argv.slice(2) as [string, string]
const sql = connect(url, { max: 10, name: 'limit' })
const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', async () => {
    const { id } = JSON.parse(Buffer.concat(chunks).toString()) as { id: string }
    const [row] = await sql.unsafe<{ row: string }[]>(
      `select row_to_json(v)::text as row from ${table} v where id = $1 and _tenant = 'acme'`,
      [id],
      { prepare: true },
    )
    response.setHeader('Content-Type', 'application/json')
    response.end(row?.row ?? 'null')
  })
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`listening on ${(server.address() as { port: number }).port}\n`)
})
process.on('SIGTERM', () => process.exit(0))
