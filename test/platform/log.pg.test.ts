import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { describeError } from '../../src/platform/log.ts'
import { freshDatabase } from '../support/postgres.ts'

const platform = join(import.meta.dirname, '../../src/platform')

test('what Postgres says about data is not repeated, its code is', async () => {
  const { sql, drop } = await freshDatabase()
  const cast = await sql`select ${'ann@example.com'}::text::int`.catch((error: unknown) => error)
  await sql`create table people (email text unique)`
  await sql`insert into people values ('ann@example.com')`
  const unique = await sql`insert into people values ('ann@example.com')`.catch((error: unknown) => error)
  for (const [error, code] of [
    [cast, '22P02'],
    [unique, '23505'],
  ] as const) {
    expect(describeError(error)).toMatchObject({ code, message: 'a statement or its data was refused' })
    expect(JSON.stringify(describeError(error))).not.toContain('example.com')
  }
  await drop()
})

test('a wrapped error keeps its cause, passwords are left out, anything thrown is described', () => {
  const error = new Error('no connection to postgres://u:hunter2@h/d', { cause: new TypeError('inner') })
  expect(describeError(error)).toMatchObject({
    name: 'Error',
    message: 'no connection to postgres://***@h/d',
    cause: { name: 'TypeError', message: 'inner' },
  })
  expect(describeError('redis://:hunter2@h')).toEqual({ message: 'redis://***@h' })
  expect(describeError(undefined)).toEqual({ message: 'undefined' })
})

test('lines are JSON on standard error, from the level asked for', async () => {
  const script = `import { log } from ${JSON.stringify(join(platform, 'log.ts'))}
    log.debug('quiet'); log.info('batch applied', { rows: 3 }); log.error('broken', { error: new Error('x') })`
  const run = (level: string) =>
    promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
      env: { PATH: process.env.PATH, FOREBAY_LOG: level },
    })
  const { stdout, stderr } = await run('')
  const lines = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(stdout).toBe('')
  expect(lines).toEqual([
    { level: 'info', time: expect.stringMatching(/^\d{4}-.*Z$/), event: 'batch applied', rows: 3 },
    {
      level: 'error',
      time: expect.any(String),
      event: 'broken',
      error: expect.objectContaining({ name: 'Error', message: 'x', at: expect.any(Array) }),
    },
  ])
  expect((await run('error')).stderr.trim().split('\n')).toHaveLength(1)
  expect((await run('silent')).stderr).toBe('')
})
