/**
 * What a change feed carries, as text: which rows one transaction of maintenance changed. Over NOTIFY and in a Redis stream alike
 *
 *   feed sequence part/parts [[view, generation, definition, tenant, [key, …]], …]
 *
 * with hashes for tenant and keys (C33). `[view, generation, definition]` alone: so many rows that they aren't named.
 */

export type ChangeGroup = {
  readonly view: string
  readonly generation: number
  readonly hash: string
  /** Absent: any row of the generation may have changed. */
  readonly rows?: { readonly tenant: string; readonly keys: readonly string[] }
}
export type ChangeMessage = {
  readonly feed: string
  readonly sequence: number
  readonly part: number
  readonly parts: number
  readonly groups: readonly ChangeGroup[]
}
type Written = [view: string, generation: number, hash: string, tenant?: string, keys?: string[]]

/** Of NOTIFY, whose payload is shorter than 8,000 bytes, with room for what stands before the groups. */
const mostBytes = 7_800

/** `part/parts groups`, each part short enough for NOTIFY; at least one. What stands before is the sender's to put there. */
export const partsOf = (groups: readonly ChangeGroup[]): readonly string[] => {
  const parts: Written[][] = [[]]
  let size = 2
  const room = (bytes: number): Written[] => {
    if (size + bytes > mostBytes) {
      parts.push([])
      size = 2
    }
    size += bytes
    return parts.at(-1)!
  }
  for (const { view, generation, hash, rows } of groups) {
    if (rows === undefined) {
      const whole: Written = [view, generation, hash]
      room(JSON.stringify(whole).length + 1).push(whole)
      continue
    }
    let open: { readonly to: Written[]; readonly keys: string[] } | undefined
    for (const key of rows.keys) {
      const bytes = key.length + 3
      const begin = JSON.stringify([view, generation, hash, rows.tenant, []]).length + 1
      const to = room(open ? bytes : bytes + begin)
      if (open?.to === to) open.keys.push(key)
      else {
        if (open) size += begin
        const keys = [key]
        to.push([view, generation, hash, rows.tenant, keys])
        open = { to, keys }
      }
    }
  }
  return parts.map((part, i) => `${i + 1}/${parts.length} ${JSON.stringify(part)}`)
}

/** Undefined: this is no such message. */
export const readMessage = (text: string): ChangeMessage | undefined => {
  const [, feed, sequence, part, parts, body] = /^(\S+) (\d+) (\d+)\/(\d+) (.*)$/s.exec(text) ?? []
  if (feed === undefined || body === undefined) return undefined
  try {
    const groups = (JSON.parse(body) as Written[]).map(([view, generation, hash, tenant, keys]) => ({
      view,
      generation,
      hash,
      ...(tenant === undefined || keys === undefined ? {} : { rows: { tenant, keys } }),
    }))
    return { feed, sequence: Number(sequence), part: Number(part), parts: Number(parts), groups }
  } catch {
    return undefined
  }
}
