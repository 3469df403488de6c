/** The environment's words about HTTP. */
import { durationMs } from './duration.ts'

/**
 * `drainNoticeMs`: how long /readyz says 503 while answers go on, before a process that was asked to stop takes no more. `origins`: of pages
 * that may ask from a browser.
 */
export type HttpSettings = { readonly drainNoticeMs: number; readonly origins: readonly string[] }
export const usualHttp: HttpSettings = { drainNoticeMs: 0, origins: [] }

export const readHttpSettings = (text: (name: string) => string | undefined, faults: string[]): HttpSettings => {
  const notice = text('FOREBAY_DRAIN_NOTICE') ?? 'PT0S'
  const drainNoticeMs = durationMs(notice)
  if (drainNoticeMs === undefined || drainNoticeMs > 300_000)
    faults.push(
      `FOREBAY_DRAIN_NOTICE is ${notice}, which is not an ISO 8601 duration of up to PT5M; write one like PT10S`,
    )
  const origins = (text('FOREBAY_CORS_ORIGINS') ?? '')
    .split(',')
    .map((origin) => origin.trim())
    .filter(Boolean)
  for (const origin of origins) {
    if (origin !== '*' && (!URL.canParse(origin) || new URL(origin).origin !== origin))
      faults.push(
        `FOREBAY_CORS_ORIGINS has ${origin}, which is no origin; write a list like https://console.example.com,http://localhost:5173, without paths`,
      )
  }
  return { drainNoticeMs: drainNoticeMs ?? 0, origins }
}
