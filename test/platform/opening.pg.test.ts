import { fileURLToPath } from 'node:url'
import { expect, inject, test } from 'vitest'
import { startCuttingProxy } from '../law/cutting-proxy.ts'
import { startChild } from '../support/child.ts'

const holder = fileURLToPath(new URL('./hold-connection.ts', import.meta.url))

test('a connection that is lost while it opens ends no process, wherever that is', async () => {
  const ends = await Promise.all(
    [0, 1, 2, 3, 4, 5, 6, 7].map(async (messages) => {
      const proxy = await startCuttingProxy(inject('postgresUrl'), messages)
      const child = startChild(process.execPath, [holder, proxy.url])
      const code = await child.ended
      const cut = proxy.isCut()
      await proxy.close()
      return { messages, code, cut, said: child.output() }
    }),
  )
  expect(ends.filter(({ code }) => code !== 0)).toEqual([])
  expect(ends.filter(({ cut }) => cut).length).toBeGreaterThan(4)
})
