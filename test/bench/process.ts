/** What a process has used, from the kernel's own books (Linux). */
import { readdir, readFile } from 'node:fs/promises'

/** User and system time, seconds. */
export const cpuSeconds = async (pid: number): Promise<number> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** The same of a process and of all that it has started, those that have ended included. */
export const familyCpuSeconds = async (pid: number): Promise<number> => {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const all = await Promise.all(pids.map((name) => readFile(`/proc/${name}/stat`, 'utf8').catch(() => '')))
  let ticks = 0
  for (const stat of all) {
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number)
    const own = Number.parseInt(stat, 10) === pid
    if (own || fields[1] === pid) ticks += fields[11]! + fields[12]! + (own ? fields[13]! + fields[14]! : 0)
  }
  return ticks / 100
}

/** The resident size now, MiB. */
export const memory = (pid: number): Promise<number> => statusOf(pid, /VmRSS:\s+(\d+)/)
/** The largest resident size so far, MiB. */
export const peakMemory = (pid: number): Promise<number> => statusOf(pid, /VmHWM:\s+(\d+)/)
const statusOf = async (pid: number, kib: RegExp): Promise<number> =>
  Number(kib.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

/** The process a guarded child is for: the guarding shell has it as its own first child. */
export const childOf = async (pid: number): Promise<number> =>
  Number((await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ')[0]) || pid
