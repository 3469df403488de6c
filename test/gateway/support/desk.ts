/** The rows of the small world in test/graphql/schema. */
import type { Rows } from './world.ts'

const customer = (id: string, tenantId: string, region: string | null, more: object) => ({
  id,
  tenantId,
  email: `${id}@example.com`,
  fullName: 'Ada Lovelace',
  region,
  tier: 'BASIC',
  createdAt: '2026-01-01T10:00:00Z',
  points: '0',
  tags: [],
  ...more,
})
const order = (id: string, customerId: string, total: string, status: string, placedAt: string, tenantId = 'acme') => ({
  id,
  tenantId,
  customerId,
  total,
  status,
  placedAt,
  payer: `payer-${id}@example.com`,
})

export const desk: Rows = {
  Customer: [
    customer('ada', 'acme', 'north', {
      email: 'Ada.Lovelace@Example.com',
      phone: '+44 20 7946 0958',
      street: '12 Mill Lane',
      card: '4111111111111111',
      nationalId: 'QQ123456C',
      bornOn: '1984-05-17',
      tier: 'GOLD',
      points: '9007199254740993',
      tags: ['vip', 'news'],
      extra: { b: 1, big: 12345678901234567890n.toString() },
    }),
    customer('bob', 'acme', 'south', {
      fullName: 'Bob Stone',
      phone: '555 0101',
      createdAt: '2026-02-01T10:00:00.5Z',
      points: '7',
    }),
    customer('cyd', 'acme', null, {
      fullName: 'Cyd Fox',
      email: 'shared@example.com',
      createdAt: '2026-03-01T10:00:00Z',
    }),
    customer('dan', 'acme', 'north', { fullName: 'Dan Hill', email: 'SHARED@example.com ', tier: 'GOLD', points: '7' }),
    customer('eve', 'globex', 'north', { fullName: 'Eve Other', phone: '+44 20 7946 0958' }),
  ],
  Note: [
    {
      id: 'n1',
      tenantId: 'acme',
      customerId: 'ada',
      text: 'called at nine',
      author: 'agent@desk.example',
      writtenAt: '2026-05-01T00:00:00Z',
    },
  ],
  Order: [
    order('o1', 'ada', '10.50', 'PAID', '2026-04-01T00:00:00Z'),
    order('o2', 'ada', '4.25', 'OPEN', '2026-04-02T00:00:00Z'),
    order('o3', 'ada', '99.00', 'CANCELLED', '2026-04-03T00:00:00Z'),
    order('o4', 'bob', '1.00', 'PAID', '2026-04-04T00:00:00Z'),
    order('o5', 'eve', '7.00', 'PAID', '2026-04-04T00:00:00Z', 'globex'),
  ],
  OrderLine: [
    { orderId: 'o1', line: 1, tenantId: 'acme', product: 'lamp', quantity: 2, price: '5.25' },
    { orderId: 'o2', line: 1, tenantId: 'acme', product: 'bulb', quantity: 17, price: '0.25' },
    { orderId: 'o2', line: 2, tenantId: 'acme', product: 'cord', quantity: 1, price: '0.00' },
    { orderId: 'o5', line: 1, tenantId: 'globex', product: 'lamp', quantity: 1, price: '7.00' },
  ],
  Product: [
    { sku: 'lamp', name: 'Lamp', weight: 1.5 },
    { sku: 'bulb', name: 'Bulb', weight: null },
  ],
}
