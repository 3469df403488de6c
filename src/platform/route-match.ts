/** Which route answers a path. Exact paths go by one map look-up; patterns are tried in the order given. */
export type Params = Readonly<Record<string, string>>
type Routed = { readonly method: string | readonly string[]; readonly path: string }
export type Match<R> =
  | { readonly kind: 'route'; readonly route: R; readonly params: Params }
  | { readonly kind: 'method'; readonly allow: readonly string[] }
  | { readonly kind: 'none' }
  | { readonly kind: 'malformed' }

const none: Params = Object.freeze({})

type Group<R> = {
  readonly entries: readonly { readonly route: R; readonly methods: ReadonlySet<string> }[]
  readonly allow: readonly string[]
}

/** A function from method and path to the route; throws where two routes claim the same method and path. */
export const matcher = <R extends Routed>(routes: readonly R[]): ((method: string, path: string) => Match<R>) => {
  const exact = new Map<string, Group<R>>()
  const patterns: { readonly test: RegExp; readonly names: readonly string[]; readonly group: Group<R> }[] = []
  for (const [path, members] of Map.groupBy(routes, (route) => route.path)) {
    const entries = members.map((route) => ({ route, methods: new Set(methodsOf(route)) }))
    const allow = entries.flatMap(({ methods }) => [...methods])
    if (new Set(allow).size < allow.length) throw new Error(`two routes answer the same method at ${path}`)
    if (/[:*]/.test(path)) patterns.push({ ...pattern(path), group: { entries, allow } })
    else exact.set(path, { entries, allow })
  }
  return (method, path) => {
    const group = exact.get(path)
    if (group) return choose(group, method, none)
    for (const { test, names, group } of patterns) {
      const values = test.exec(path)
      if (!values) continue
      const params = decode(names, values.slice(1))
      return params ? choose(group, method, params) : { kind: 'malformed' }
    }
    return { kind: 'none' }
  }
}

const methodsOf = ({ method }: Routed): readonly string[] => {
  const methods = typeof method === 'string' ? [method] : method
  return methods.includes('GET') && !methods.includes('HEAD') ? [...methods, 'HEAD'] : methods
}

const choose = <R>({ entries, allow }: Group<R>, method: string, params: Params): Match<R> => {
  for (const { route, methods } of entries)
    if (methods.has(method) || methods.has('*')) return { kind: 'route', route, params }
  return { kind: 'method', allow }
}

const pattern = (path: string): { test: RegExp; names: readonly string[] } => {
  const names: string[] = []
  const source = path
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replace(/:(\w+)/g, (_, name: string) => {
      names.push(name)
      return '([^/]+)'
    })
    .replace(/\/\*$/, '(?:/.*)?')
  return { test: new RegExp(`^${source}$`), names }
}

const decode = (names: readonly string[], values: readonly string[]): Params | undefined => {
  try {
    return Object.fromEntries(names.map((name, index) => [name, decodeURIComponent(values[index] ?? '')]))
  } catch {
    return undefined
  }
}
