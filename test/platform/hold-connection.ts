/** A process that dies on what nothing caught, and asks Postgres until it is answered or a second is over. */
import { dieOnUncaught } from '../../src/platform/lifetime.ts'
import { connect } from '../../src/platform/postgres.ts'

dieOnUncaught()
const sql = connect(process.argv[2] ?? '', { max: 1, name: 'test' })
sql`select 1`.catch(() => {})
setTimeout(() => process.exit(0), 1_000)
