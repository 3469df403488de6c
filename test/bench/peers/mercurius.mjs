/** Mercurius with jit over the same rows: by key, and pages by key. No access, no masks, no freshness. */
import Fastify from 'fastify'
import mercurius from 'mercurius'
import pg from 'pg'

// Numbers and times as the texts they are, as the other side has them.
for (const type of [1700, 1184, 20]) pg.types.setTypeParser(type, (text) => text)
const pool = new pg.Pool({ connectionString: process.argv[2], max: 10 })
const columns =
  'id, email, full_name as "fullName", tier, note, order_count as "orderCount", spent, last_order_at as "lastOrderAt", recent_orders as "recentOrders"'
const app = Fastify()
app.register(mercurius, {
  jit: 1,
  schema: `
    type Order { id: ID! status: String! total: String! placedAt: String! paymentStatus: String carrier: String }
    type CustomerOverview {
      id: ID! email: String! fullName: String! tier: String! note: String orderCount: Int! spent: String! lastOrderAt: String recentOrders: [Order!]!
    }
    type Query { customerOverview(id: ID!): CustomerOverview customerOverviews(first: Int!, after: ID): [CustomerOverview!]! }`,
  resolvers: {
    Query: {
      customerOverview: async (_, { id }) => {
        const text = `select ${columns} from peers.customer_overview where id = $1`
        return (await pool.query({ name: 'one', text, values: [id] })).rows[0]
      },
      customerOverviews: async (_, { first, after }) => {
        const text = `select ${columns} from peers.customer_overview where id > $1 order by id limit $2`
        return (await pool.query({ name: 'page', text, values: [after ?? '', first] })).rows
      },
    },
  },
})
await app.listen({ port: 0, host: '127.0.0.1' })
process.stdout.write(`listening on ${app.server.address().port}\n`)
process.on('SIGTERM', () => process.exit(0))
