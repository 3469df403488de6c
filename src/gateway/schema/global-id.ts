/** A row's id across all views: the view and its key, a JSON array of texts. Keys are no secrets (PII in them is refused); tenancy applies when it is read. */
export const globalId = ({ view, key }: { readonly view: string; readonly key: string }): string =>
  Buffer.from(JSON.stringify([view, ...(JSON.parse(key) as unknown[])])).toString('base64url')

/** The view and key, or undefined for what isn't an id. */
export const readGlobalId = (
  id: string,
): { readonly view: string; readonly key: readonly (string | null)[] } | undefined => {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(id, 'base64url').toString())
    if (!Array.isArray(parsed) || parsed.length < 2) return undefined
    const [view, ...key] = parsed as unknown[]
    const fits = (item: unknown): item is string | null =>
      item === null || (typeof item === 'string' && !item.includes('\0'))
    return typeof view === 'string' && key.every(fits) ? { view, key } : undefined
  } catch {
    return undefined
  }
}
