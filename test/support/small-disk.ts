/** A disk that is soon full: a tmpfs of its own, which takes root to mount. */
import { mkdtemp, rm, rmdir, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { found, run } from './find.ts'

export type SmallDisk = {
  readonly folder: string
  /** Takes all the space that is left. */
  fill(): Promise<void>
  /** Gives it back. */
  free(): Promise<void>
  unmount(): Promise<void>
}

export const mountSmall = async (mebibytes: number): Promise<SmallDisk> => {
  const folder = await mkdtemp(join(tmpdir(), 'forebay-disk-'))
  await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=755`, 'tmpfs', folder])
  const filler = join(folder, 'filler')
  return {
    folder,
    async fill() {
      // Others write meanwhile, so what is free a moment later may be less.
      for (let spare = 0; ; spare += 64 * 1024) {
        const { bavail, bsize } = await statfs(folder)
        const taken = await run('fallocate', ['-l', String(bavail * bsize - spare), filler]).catch(() => undefined)
        if (taken !== undefined) return
        await rm(filler, { force: true })
      }
    },
    free: () => rm(filler),
    async unmount() {
      // A killed server's last process may still hold a file for a moment; lazily, it goes with that.
      await run('umount', ['-l', folder])
      await rmdir(folder)
    },
  }
}

/** Says why not, where it isn't possible. */
export const canMount = async (): Promise<boolean> =>
  mountSmall(1)
    .then((disk) => disk.unmount())
    .then(
      () => true,
      (error: Error) => {
        found('Small disk', `can't be mounted, so a full disk is not tested: ${error.message}`)
        return false
      },
    )
