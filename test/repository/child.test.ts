import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { freePorts, ready, startChild } from '../support/child.ts'

const alive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
/** A process that says its own id, then sleeps. */
const sleeper = ['-e', 'console.log(process.pid); setTimeout(() => {}, 600_000)']
const said = async (child: { output(): string }): Promise<number> => {
  await expect.poll(() => /^\d+$/m.exec(child.output())?.[0], { timeout: 10_000 }).toBeDefined()
  return Number(/^\d+$/m.exec(child.output())?.[0])
}

test('a service dies with the process that started it, though that one was killed with -9', async () => {
  const module = JSON.stringify(new URL('../support/child.ts', import.meta.url).href)
  const script = `const { startChild } = await import(${module})
    const child = startChild(process.execPath, ${JSON.stringify(sleeper)})
    setInterval(() => { if (/\\d/.test(child.output())) console.log(child.output().trim()) }, 50)`
  const parent = startChild(process.execPath, ['--input-type=module', '-e', script])
  const grandchild = await said(parent)
  expect(alive(grandchild)).toBe(true)
  await parent.kill9()
  await expect.poll(() => alive(grandchild), { timeout: 5_000 }).toBe(false)
})

test('a stopped child is asked first, and one that does not listen is killed', async () => {
  const polite = startChild(process.execPath, sleeper)
  await said(polite)
  await polite.stop()
  const script = `process.on('SIGTERM', () => {}); ${sleeper[1]}`
  const deaf = startChild(process.execPath, ['-e', script])
  const pid = await said(deaf)
  await deaf.stop(300)
  expect([polite.alive(), deaf.alive()]).toEqual([false, false])
  await expect.poll(() => alive(pid), { timeout: 5_000 }).toBe(false)
})

test('a child that ends tells its code, and one that ends while starting tells its last words', async () => {
  expect(await startChild('/bin/sh', ['-c', 'exit 3']).ended).toBe(3)
  const child = startChild('/bin/sh', ['-c', 'echo no such luck; exit 1'])
  const never = async (): Promise<void> => {
    await sleep(20)
    throw new Error('not yet')
  }
  await expect(ready('It', child, never)).rejects.toThrow('It ended while starting:\nno such luck')
})

test('free ports differ', async () => {
  expect(new Set(await freePorts(20)).size).toBe(20)
})
