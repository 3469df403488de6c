/** A supervised run for lifetime.test.ts; `argv[2]` says what it does. */
import { setTimeout as sleep } from 'node:timers/promises'
import { dieOnUncaught, supervise } from '../../src/platform/lifetime.ts'

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const keepAlive = setInterval(() => {}, 1_000)
const how = process.argv[2]
dieOnUncaught()
try {
  const code = await supervise(async ({ resources, fail }) => {
    resources.defer(async () => say('first closed'))
    resources.defer(async () => {
      if (how === 'hangs') await new Promise(() => {})
      if (how === 'throws') throw new Error('closing went wrong')
      say('second closed')
    })
    if (how === 'starting') {
      say('up')
      await sleep(60_000)
    }
    if (how === 'refuses') throw new Error('no such schema')
    if (how === 'dies') setTimeout(() => fail(new Error('postgres is gone')), 50)
    if (how === 'uncaught') setTimeout(() => Promise.reject(new Error('at postgres://u:hunter2@h/d')), 50)
    say('up')
  })
  clearInterval(keepAlive)
  process.exit(code)
} catch (error) {
  say(`failed: ${error instanceof Error ? error.message : error}`)
  process.exit(1)
}
