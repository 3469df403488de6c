/** /healthz: the process lives. /readyz: it should get traffic. /metrics: its figures. */
import { json, type Route } from './http.ts'
import { metricsText } from './metrics.ts'

/** `reason`: what is awaited, when not ready; else what is amiss and keeps nobody from being served. Shown to whoever asks. */
export type Readiness = { readonly ready: boolean; readonly reason?: string }
export type Checks = Readonly<Record<string, () => Promise<Readiness>>>

const patienceMs = 2_000

/** The three routes. /readyz is 200 when every check is ready, else 503; both name each check. A check that throws or takes 2 s isn't ready. */
export const healthRoutes = (checks: Checks): readonly Route[] => [
  { method: 'GET', path: '/healthz', handle: async ({ response }) => json(response, 200, { status: 'ok' }) },
  {
    method: 'GET',
    path: '/readyz',
    handle: async ({ response }) => {
      const { ready, parts } = await readiness(checks)
      json(response, ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', checks: parts })
    },
  },
  {
    method: 'GET',
    path: '/metrics',
    handle: async ({ response }) => {
      const { contentType, text } = await metricsText()
      response.writeHead(200, { 'Content-Type': contentType }).end(text)
    },
  },
]

/** All checks at once. */
export const readiness = async (
  checks: Checks,
): Promise<{ readonly ready: boolean; readonly parts: Readonly<Record<string, Readiness>> }> => {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, await judged(check)] as const),
  )
  return { ready: results.every(([, part]) => part.ready), parts: Object.fromEntries(results) }
}

const judged = async (check: () => Promise<Readiness>): Promise<Readiness> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Readiness>((done) => {
    timer = setTimeout(() => done({ ready: false, reason: 'no answer in time' }), patienceMs)
  })
  try {
    return await Promise.race([check(), late])
  } catch {
    return { ready: false, reason: 'the check failed' }
  } finally {
    clearTimeout(timer)
  }
}
