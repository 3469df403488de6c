/** People: they come, move, change their minds, ask for help, and go. */
import { signalSeen } from './events.ts'
import type { Tables } from './rows.ts'
import type { World } from './world.ts'

type Customer = Tables['customers']

const firstNames = 'Maria Jonas Aisha Wei Lucía Olu Ingrid Tomás Noor Ewa Kofi Zoë Hana Pierre Björn Mei'.split(' ')
const lastNames = 'Rossi Lindqvist Okafor Zhang García Müller Novák Haddad Kowalski Mensah Dubois Tanaka Silva'.split(
  ' ',
)
const places = ['Lyon FR', 'Graz AT', 'Porto PT', 'Malmö SE', 'Leeds GB', 'Gdańsk PL', 'Ghent BE', 'Turin IT']
const streets = ['Mill Lane', 'Harbour Street', 'Kirchgasse', 'Rue des Lilas', 'Via Roma', 'Old Market']

const newAddress = (world: World, customer_id: string): Omit<Tables['addresses'], 'is_default'> => {
  const [city = '', country = ''] = world.random.pick(places).split(' ')
  const line1 = `${world.random.int(1, 240)} ${world.random.pick(streets)}`
  return { id: world.id('A'), customer_id, line1, city, country, updated_at: world.moment() }
}

const emailOf = (name: string, id: string): string =>
  `${name.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase().replace(' ', '.')}.${id.slice(2)}@example.com`

export const join = (world: World, tenant?: string): boolean => {
  const { random } = world
  const id = world.id('C')
  const full_name = `${random.pick(firstNames)} ${random.pick(lastNames)}`
  world.insert('customers', {
    id,
    tenant_id: tenant ?? random.pick(['acme', 'acme', 'globex']),
    email: emailOf(full_name, id),
    phone: random.chance(0.8) ? `+3361${String(random.int(0, 9_999_999)).padStart(7, '0')}` : null,
    full_name,
    birth_date: random.chance(0.7) ? new Date(random.int(-600_000, 1_100_000) * 1e6).toISOString().slice(0, 10) : null,
    national_id: random.chance(0.4) ? String(random.int(1e9, 9e9)) : null,
    tier: 'standard',
    locale: random.pick(['fr-FR', 'de-AT', 'en-GB', 'pl-PL', 'it-IT']),
    created_at: world.moment(),
    closed_at: null,
  })
  world.insert('addresses', { ...newAddress(world, id), is_default: true })
  for (const purpose of ['marketing', 'personalization'])
    world.insert('consents', { customer_id: id, purpose, granted: random.chance(0.6), changed_at: world.moment() })
  world.commit()
  return true
}

/** The first customers stay as they are, so that an example that names one keeps its answer. */
const regulars = new Set(['C-1001', 'C-1002'])
const someone = (world: World): Customer =>
  world.random.pick(world.all('customers').filter((one) => one.closed_at === null && !regulars.has(one.id)))

export const moveHouse = (world: World): boolean => {
  const customer = someone(world)
  for (const address of world.where('addresses', 'customer_id', customer.id)) {
    if (address.is_default) world.update('addresses', address, { is_default: false, updated_at: world.moment() })
    else world.remove('addresses', address)
  }
  world.insert('addresses', { ...newAddress(world, customer.id), is_default: true })
  world.commit()
  return true
}

export const changeContact = (world: World): boolean => {
  const customer = someone(world)
  const email = `${customer.email.split('@')[0]}@mail${world.random.int(1, 99)}.example.com`
  world.update('customers', customer, world.random.chance(0.5) ? { email } : { phone: null })
  world.commit()
  return true
}

export const promote = (world: World): boolean => {
  const customer = someone(world)
  world.update('customers', customer, { tier: world.random.pick(['standard', 'silver', 'silver', 'gold']) })
  world.commit()
  return true
}

/** Gone, or back again. */
export const close = (world: World): boolean => {
  const gone = world.all('customers').filter((one) => one.closed_at !== null)
  if (gone.length > 0 && world.random.chance(0.3)) {
    world.update('customers', world.random.pick(gone), { closed_at: null })
  } else {
    const customer = someone(world)
    if (world.where('orders', 'customer_id', customer.id).length > 0) return false
    world.update('customers', customer, { closed_at: world.moment() })
  }
  world.commit()
  return true
}

export const consent = (world: World): boolean => {
  const all = world.all('consents')
  const one = world.random.pick(all)
  if (all.length > 50 && world.random.chance(0.1)) world.remove('consents', one)
  else world.update('consents', one, { granted: !one.granted, changed_at: world.moment() })
  world.commit()
  return true
}

export const ask = (world: World, customerId?: string): boolean => {
  const { random } = world
  const customer = customerId ? world.find('customers', customerId) : someone(world)
  const orders = world.where('orders', 'customer_id', customer.id)
  world.insert('tickets', {
    id: world.id('T'),
    tenant_id: customer.tenant_id,
    customer_id: customer.id,
    order_id: orders.length > 0 ? random.pick(orders).id : null,
    subject: random.pick(['Where is my parcel?', 'Please change my address', 'The lid is broken', 'Invoice missing']),
    status: 'open',
    opened_at: world.moment(),
  })
  world.commit()
  return true
}

export const answer = (world: World): boolean => {
  const tickets = world.all('tickets')
  if (tickets.length === 0) return false
  const ticket = world.random.pick(tickets)
  if (world.random.chance(0.1)) world.remove('tickets', ticket)
  else if (ticket.status === 'open') world.update('tickets', ticket, { status: 'pending' })
  else world.settle('tickets', world.update('tickets', ticket, { status: 'solved' }))
  world.commit()
  return true
}

export const suspect = (world: World): boolean => {
  const customer = someone(world)
  const order = world.where('orders', 'customer_id', customer.id).at(-1)
  signalSeen(
    world,
    { tenant_id: customer.tenant_id, customer_id: customer.id, order_id: order?.id ?? null },
    world.random.pick(['velocity', 'new-device', 'address-mismatch']),
  )
  world.commit()
  return true
}
