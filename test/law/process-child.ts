/** runProcess in a process of its own, to be killed. Told what to do by one message; ends with its parent. */
import { runProcess } from './process.ts'
import { makeScene } from './scene.ts'

export type ChildWork = { readonly url: string; readonly text: string; readonly numbers: readonly number[] }

process.once('disconnect', () => process.exit())
process.once('message', async (work: ChildWork) => {
  await runProcess({ ...(await makeScene(work.text, work.numbers)), url: work.url })
  process.disconnect()
})
