import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { masked, tokenized } from '../../src/gateway/access/mask.ts'

const key = Buffer.alloc(32, 7)

describe('a masked value shows what its kind promises and no more', () => {
  const cases: readonly (readonly [kind: string, value: string, form: string])[] = [
    ['EMAIL', 'ada@example.com', 'a***@e***.com'],
    ['EMAIL', 'grace.hopper+x@mail.example.co.uk', 'g***@m***.uk'],
    ['EMAIL', 'ab@cd.io', '***@***.io'],
    ['EMAIL', 'ada@localhost', 'a***@l***'],
    ['EMAIL', 'no address', '***'],
    ['EMAIL', '@', '***@***'],
    ['EMAIL', '', '***'],
    ['PHONE', '+44 20 7946 0958', '***0958'],
    ['PHONE', '555-1234', '***34'],
    ['PHONE', '112', '***'],
    ['PHONE', '', '***'],
    ['NAME', 'Ada Lovelace', 'A. L.'],
    ['NAME', '  José  María de la Cruz ', 'J. M.'],
    ['NAME', '王小明', '王.'],
    ['NAME', '🙂 1', '***'],
    ['NAME', '', '***'],
    ['ADDRESS', '12 Mill Lane', 'M***'],
    ['ADDRESS', 'Rome', 'R***'],
    ['ADDRESS', 'Y', '***'],
    ['ADDRESS', '12345', '***'],
    ['CARD', '4111 1111 1111 1111', '****1111'],
    ['CARD', '1234', '****'],
    ['NATIONAL_ID', 'QQ 12 34 56 C', '***6C'],
    ['NATIONAL_ID', '12345', '***'],
    ['DATE_OF_BIRTH', '1984-05-17', '1984-01-01'],
    ['DATE_OF_BIRTH', 'spring', '***'],
    ['FREE_TEXT', 'called at nine', '…'],
    ['FREE_TEXT', '', '…'],
    ['CONFIDENTIAL', 'plans', '***'],
  ]
  test.each(cases)('%s %j is %j', (kind, value, form) => expect(masked(value, [kind], false)).toBe(form))
})

const kinds = ['EMAIL', 'PHONE', 'NAME', 'ADDRESS', 'CARD', 'NATIONAL_ID', 'DATE_OF_BIRTH', 'FREE_TEXT', 'OTHER']

test('a masked Date is a Date, whatever it was and of whatever kind', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.constantFrom(...kinds), (value, kind) => {
      expect(masked(value, [kind], true)).toMatch(/^\d{4}-01-01$/)
    }),
  )
  expect(masked('1984-05-17', ['DATE_OF_BIRTH'], true)).toBe('1984-01-01')
  expect(masked('1984-05-17', ['CONFIDENTIAL'], true)).toBe('0001-01-01')
})

test('no input makes a mask fail, and values of up to two characters show nothing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.constantFrom(...kinds), (value, kind) => {
      expect(masked(value, [kind], false).length).toBeGreaterThan(0)
    }),
  )
  for (const kind of ['EMAIL', 'PHONE', 'ADDRESS', 'CARD', 'NATIONAL_ID', 'FREE_TEXT']) {
    expect(masked('x1', [kind], false)).toBe(masked('y2', [kind], false))
  }
})

test('a value of several kinds shows nothing', () =>
  expect(masked('ada@example.com', ['EMAIL', 'NAME'], false)).toBe('***'))

test('tokens are equal for equal values of one kind and tenant, and for nothing else', () => {
  const token = (value: string, kind: string, tenant: string, by = key) => tokenized(value, [kind], tenant, by)
  const one = token('ada@example.com', 'EMAIL', 'acme')
  expect(one).toMatch(/^tok_[\w-]{22}$/)
  expect(token(' Ada@Example.com', 'EMAIL', 'acme')).toBe(one)
  expect(token('ada@example.com', 'EMAIL', 'globex')).not.toBe(one)
  expect(token('ada@example.com', 'NAME', 'acme')).not.toBe(one)
  expect(token('ada@example.com', 'EMAIL', 'acme', Buffer.alloc(32, 8))).not.toBe(one)
})
