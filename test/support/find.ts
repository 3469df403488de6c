import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

export const run = promisify(execFile)

/** Where a binary lies on PATH (Debian's server folder included), or nothing. */
export async function onPath(binary: string): Promise<string | undefined> {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']) {
    const path = join(folder, binary)
    if (await allowed(path)) return path
  }
  return undefined
}

async function allowed(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

/** True when a Docker engine answers: the client alone is no use. */
export async function dockerAnswers(): Promise<boolean> {
  return run('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: 5_000 }).then(
    () => true,
    () => false,
  )
}

/** Installs Debian packages where that is allowed (root, apt-get); says whether it did. */
export async function installDebian(packages: readonly string[]): Promise<boolean> {
  if (process.getuid?.() !== 0 || (await onPath('apt-get')) === undefined) return false
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const options = ['-qq', '-o', 'DPkg::Lock::Timeout=120']
  await run('apt-get', [...options, 'update'], { env, timeout: 120_000 })
  await run('apt-get', [...options, 'install', '-y', '--no-install-recommends', ...packages], { env, timeout: 600_000 })
  return true
}

/** One line of the test run's log: which service this is and where it came from. */
export function found(service: string, how: string): void {
  process.stderr.write(`[services] ${service}: ${how}\n`)
}
