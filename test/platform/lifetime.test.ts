import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

type Ended = { readonly code: number | null; readonly out: string; readonly err: string; readonly ms: number }

/** Runs hold-resource.ts, sends the signals once it is up, each 200 ms after the last, and tells how it ended. */
const hold = async (how: string, signals: readonly NodeJS.Signals[]): Promise<Ended> => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./hold-resource.ts', import.meta.url)), how], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH },
  })
  let [out, err] = ['', '']
  child.stderr.setEncoding('utf8').on('data', (text) => {
    err += text
  })
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text
  })
  const exit = once(child, 'exit')
  await Promise.race([once(child.stdout, 'data'), exit])
  const before = Date.now()
  for (const signal of signals) {
    child.kill(signal)
    await new Promise((done) => setTimeout(done, 200))
  }
  const [code] = (await exit) as [number | null]
  return { code, out, err, ms: Date.now() - before }
}

test.each(['SIGINT', 'SIGTERM'] as const)('%s closes everything in the reverse order, exit 0', async (signal) => {
  const { code, out, err } = await hold('well', [signal])
  expect([code, out]).toEqual([0, 'up\nsecond closed\nfirst closed\n'])
  expect(err).toContain('Stopping')
})

test('a signal while still starting closes what is open', async () => {
  const { code, out, ms } = await hold('starting', ['SIGTERM'])
  expect([code, out]).toEqual([0, 'up\nsecond closed\nfirst closed\n'])
  expect(ms).toBeLessThan(2_000)
})

test('what fails to close is logged and the rest closed', async () => {
  const { code, out, err } = await hold('throws', ['SIGINT'])
  expect([code, out]).toEqual([0, 'up\nfirst closed\n'])
  expect(err).toContain('closing went wrong')
})

test('what never closes is left after 5 s, with a message and exit 1', async () => {
  const { code, err, ms } = await hold('hangs', ['SIGINT'])
  expect(code).toBe(1)
  expect(err).toContain('Not everything closed within 5 s')
  expect(ms).toBeGreaterThan(4_500)
  expect(ms).toBeLessThan(6_500)
})

test('a second Ctrl-C does not wait', async () => {
  const { code, ms } = await hold('hangs', ['SIGINT', 'SIGINT'])
  expect(code).toBe(130)
  expect(ms).toBeLessThan(2_000)
})

test('a start that fails closes what is open and says why', async () => {
  expect(await hold('refuses', [])).toMatchObject({
    code: 1,
    out: 'second closed\nfirst closed\nfailed: no such schema\n',
  })
})

test('something essential that goes away ends the run as failed', async () => {
  expect(await hold('dies', [])).toMatchObject({
    code: 1,
    out: 'up\nsecond closed\nfirst closed\nfailed: postgres is gone\n',
  })
})

test('an uncaught fault is logged once, without passwords, exit 1', async () => {
  const { code, err } = await hold('uncaught', [])
  expect(code).toBe(1)
  expect(err.trim().split('\n')).toHaveLength(1)
  expect(JSON.parse(err)).toMatchObject({
    level: 'error',
    event: 'uncaught',
    error: { message: 'at postgres://***@h/d' },
  })
})
