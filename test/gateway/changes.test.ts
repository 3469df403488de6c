import { describe, expect, test } from 'vitest'
import { createChanges, type RowChange } from '../../src/gateway/feed/changes.ts'
import { createKeyHash } from '../../src/platform/key-hash.ts'

const secret = 'a'.repeat(64)

describe('what a gateway is told of changes', () => {
  test('every listener hears of every change, until it ends', () => {
    const changes = createChanges()
    const heard: string[] = []
    const listen = (name: string) =>
      changes.listen({
        changed: (rows) => heard.push(`${name} ${rows.map(({ sequence }) => sequence)}`),
        changedWhole: (view) => heard.push(`${name} all of ${view}`),
        dropped: (reason) => heard.push(`${name} ${reason}`),
      })
    const end = listen('one')
    listen('two')
    const row: RowChange = { view: 'V', generation: 1, hash: 'h', tenant: '', key: 'k', feed: 'f', sequence: 7 }
    changes.tell.changed([row])
    end()
    changes.tell.changedWhole('V', 1)
    changes.tell.dropped('GAP')
    expect(heard).toEqual(['one 7', 'two 7', 'two all of V', 'two GAP'])
  })
})

describe('C33: keys are named by keyed hashes', () => {
  const { row, tenant } = createKeyHash(secret)
  test('the same row has the same name under the same secret only', () => {
    expect(row('d', 'acme', ['1'])).toBe(createKeyHash(secret).row('d', 'acme', ['1']))
    expect(row('d', 'acme', ['1'])).not.toBe(createKeyHash('b'.repeat(64)).row('d', 'acme', ['1']))
  })
  test('definition, tenant and each part of a key tell names apart', () => {
    const names = [
      row('d', 'acme', ['1']),
      row('e', 'acme', ['1']),
      row('d', 'globex', ['1']),
      row('d', null, ['1']),
      row('d', 'acme', ['1', null]),
      row('d', null, ['acme', '1']),
      row('d', 'acme', ['1', '']),
      tenant('acme'),
      tenant(null),
      tenant(''),
    ]
    expect(new Set(names).size).toBe(names.length)
  })
})
