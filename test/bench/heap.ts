/** The heap of another Node process that was started with `--inspect=127.0.0.1:port`, after a full collection. */
import { once } from 'node:events'

/** MiB in use. Collecting stops the process for some tens of milliseconds. */
export const heapAfterCollection = async (port: number): Promise<number> => {
  const listed = await fetch(`http://127.0.0.1:${port}/json/list`)
  const [target] = (await listed.json()) as { webSocketDebuggerUrl: string }[]
  const socket = new WebSocket(target!.webSocketDebuggerUrl)
  await once(socket, 'open')
  const ask = async (id: number, method: string): Promise<{ usedSize?: number }> => {
    socket.send(JSON.stringify({ id, method }))
    for (;;) {
      const [{ data }] = (await once(socket, 'message')) as [{ data: string }]
      const answer = JSON.parse(data) as { id?: number; result: { usedSize?: number } }
      if (answer.id === id) return answer.result
    }
  }
  try {
    await ask(1, 'HeapProfiler.collectGarbage')
    const { usedSize = Number.NaN } = await ask(2, 'Runtime.getHeapUsage')
    return usedSize / 2 ** 20
  } finally {
    socket.close()
  }
}
