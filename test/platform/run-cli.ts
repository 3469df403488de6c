/** The command line as a user runs it: a process of its own, with an environment that holds nothing but what the test says. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

export type Ran = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

/** `cwd` keeps what a verb writes by default (`.forebay`) out of the repository. */
export const runCli = async (
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd?: string,
): Promise<Ran> => {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../src/cli.ts'), ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  })
  const code = new Promise<number | null>((done) => child.once('exit', done))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await code, stdout, stderr }
}
