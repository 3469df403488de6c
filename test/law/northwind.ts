/** Northwind, as Debezium's Postgres connector would stream it. */
import { makeLog } from './change-arbitrary.ts'
import { debeziumRecords } from './debezium.ts'
import type { Draw } from './draw.ts'
import { asStored, type Foreign, nullable, reference } from './foreign-history.ts'

const number = (index: number): number => index + 1
const customerId = (index: number): string =>
  ['ALFKI', 'ANATR', 'BERGS', 'BLONP', 'ÉPICE', 'ZZZZ'][index] ?? `GONE${index}`
const territoryId = (index: number): string => String(1581 + index).padStart(5, '0')
const money = (draw: Draw): string => `${draw.below(200)}.${draw.pick(['00', '5', '95', '10'])}`
const day = (draw: Draw): string =>
  draw.pick(['1996-07-04', '1996-12-31', '1997-03-30', '1998-05-06', '1948-12-08', '2028-02-29'])
const company = (draw: Draw): string => draw.pick(['Chai & Co', 'Ünal', "O'Brien Ltd", 'chai', 'Zaanse', ''])
const country = (draw: Draw): string | null => nullable(draw, draw.pick(['Germany', 'México', 'UK']))

const sizes = {
  categories: 4,
  suppliers: 4,
  customers: 6,
  employees: 7,
  regions: 3,
  territories: 6,
  products: 10,
  orders: 24,
}
const lines = 3

export const northwind: Foreign = {
  name: 'Northwind',
  folder: 'test/schemas/northwind',
  tables: [
    {
      entity: 'Category',
      size: sizes.categories,
      key: (i) => ({ id: number(i) }),
      rest: (d) => ({ name: d.pick(['Beverages', 'Seafood', 'produce']) }),
    },
    {
      entity: 'Supplier',
      size: sizes.suppliers,
      key: (i) => ({ id: number(i) }),
      rest: (d) => ({ companyName: company(d), country: country(d) }),
    },
    { entity: 'Shipper', size: 2, key: (i) => ({ id: number(i) }), rest: (d) => ({ companyName: company(d) }) },
    {
      entity: 'Customer',
      size: sizes.customers,
      key: (i) => ({ id: customerId(i) }),
      rest: (d) => ({
        companyName: company(d),
        contactName: nullable(d, d.pick(['Maria Anders', 'Ana Trujillo'])),
        address: nullable(d, 'Obere Str. 57'),
        country: country(d),
        phone: nullable(d, '030-0074321'),
      }),
    },
    {
      entity: 'Employee',
      size: sizes.employees,
      key: (i) => ({ id: number(i) }),
      rest: (d) => ({
        lastName: d.pick(['Davolio', 'Fuller', 'Leverling']),
        firstName: d.pick(['Nancy', 'Andrew']),
        title: nullable(d, 'Sales Representative'),
        birthDate: nullable(d, day(d)),
        reportsTo: nullable(d, reference(d, sizes.employees, number)),
      }),
    },
    {
      entity: 'Region',
      size: sizes.regions,
      key: (i) => ({ id: number(i) }),
      rest: (d) => ({ name: d.pick(['Eastern', 'Western   ']) }),
    },
    {
      entity: 'Territory',
      size: sizes.territories,
      key: (i) => ({ id: territoryId(i) }),
      rest: (d) => ({ name: d.pick(['Westboro', 'Boston', 'boston']), regionId: reference(d, sizes.regions, number) }),
    },
    {
      entity: 'EmployeeTerritory',
      size: 14,
      key: (i) => ({
        employeeId: number(i % (sizes.employees + 1)),
        territoryId: territoryId((i * 5) % (sizes.territories + 1)),
      }),
      rest: () => ({}),
    },
    {
      entity: 'Product',
      size: sizes.products,
      key: (i) => ({ id: number(i) }),
      rest: (d) => ({
        name: d.pick(['Chai', 'Chang', 'Ipoh Coffee', 'chai']),
        supplierId: nullable(d, reference(d, sizes.suppliers, number)),
        categoryId: nullable(d, reference(d, sizes.categories, number)),
        unitPrice: nullable(d, money(d)),
        unitsInStock: nullable(d, d.below(40)),
        reorderLevel: nullable(d, d.below(30)),
        discontinued: d.oneIn(4),
      }),
    },
    {
      entity: 'Order',
      size: sizes.orders,
      key: (i) => ({ id: 10248 + i }),
      rest: (d) => ({
        customerId: nullable(d, reference(d, sizes.customers, customerId)),
        employeeId: nullable(d, reference(d, sizes.employees, number)),
        shipVia: nullable(d, reference(d, 2, number)),
        orderDate: nullable(d, day(d)),
        shippedDate: d.oneIn(2) ? day(d) : null,
        freight: nullable(d, money(d)),
      }),
    },
    {
      entity: 'OrderDetail',
      size: sizes.orders * lines,
      key: (i) => ({ orderId: 10248 + Math.floor(i / lines), productId: number((i * 7) % (sizes.products + 1)) }),
      rest: (d) => ({ unitPrice: money(d), quantity: 1 + d.below(9), discount: d.pick(['0', '0.05', '0.25']) }),
    },
  ],
  makeLog: (draw, model, { writes, rows }) => {
    const stored = writes.map((write) => ({ ...write, row: write.row && asStored(model, write.entity, write.row) }))
    return makeLog(draw, { writes: stored, rows }, 2, { encode: debeziumRecords })
  },
  rows: ({ rows }) => rows,
}
