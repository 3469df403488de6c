/** What the documents claim about the repository, and which of it isn't so. */

export type Document = { readonly name: string; readonly text: string }
/** What the claims are held against. `glob` takes a path or pattern relative to the root and says whether anything fits. */
export type Repository = {
  readonly exists: (pattern: string) => boolean
  /** A file's text; undefined where there is none. */
  readonly read: (path: string) => string | undefined
  /** Top-level entries: the first step by which a path is told from a URL path or a GraphQL name. */
  readonly topLevel: readonly string[]
  readonly tests: readonly Document[]
}

/**
 * One line a false claim, `file:line: what`: paths that don't exist, laws and rules without a test of their name, code that says which file
 * it is of (```ts src/a.ts) and doesn't stand there.
 */
export function falseClaims(document: Document, repository: Repository): string[] {
  const { name, text } = document
  const quotes = quotesOf(text).flatMap(({ line, path, code }) => {
    const file = repository.read(path)
    if (file === undefined) return [`${name}:${line}: ${path} doesn't exist. Name what does, or leave it out.`]
    return file.includes(code) ? [] : [`${name}:${line}: this code doesn't stand in ${path}. Copy it from there.`]
  })
  const claims = claimsOf(text, repository.topLevel).flatMap(({ line, kind, claim }) => {
    const at = `${name}:${line}:`
    switch (kind) {
      case 'path':
        return repository.exists(claim) ? [] : [`${at} ${claim} doesn't exist. Name what does, or leave it out.`]
      case 'law':
        return tested(claim, repository.tests)
          ? []
          : [`${at} no test's name contains "${claim}". Write the test, or leave the law out.`]
    }
  })
  return [...quotes, ...claims]
}

/** Fences that name a file after their language. */
const quotesOf = (text: string): { readonly line: number; readonly path: string; readonly code: string }[] =>
  [...text.matchAll(/^```\w+ (\S+)\n([\s\S]*?)^```$/gm)].map(({ 1: path = '', 2: code = '', index }) => ({
    line: text.slice(0, index).split('\n').length,
    path,
    code,
  }))

type Claim = { readonly line: number; readonly kind: 'path' | 'law'; readonly claim: string }

function claimsOf(text: string, topLevel: readonly string[]): Claim[] {
  const claims: Claim[] = []
  let table: readonly string[] | undefined
  for (const [index, line] of text.split('\n').entries()) {
    const add = (kind: Claim['kind'], claim: string): number => claims.push({ line: index + 1, kind, claim })
    const cells = cellsOf(line)
    const heads = table
    table = cells && (table ?? cells.map((cell) => cell.toLowerCase()))
    for (const token of [...quoted(line), ...linked(line)]) if (isPath(token, topLevel)) add('path', token)
    if (!cells || !heads || /^[\s|:-]+$/.test(line)) continue
    for (const [column, head] of heads.entries()) {
      const cell = cells[column] ?? ''
      if (/^files?$/.test(head)) for (const token of bare(cell)) add('path', token)
      if (/^(law|rule)s?\b/.test(head) && heads.some((other) => /^tests?$/.test(other)))
        for (const law of lawsOf(cell)) add('law', law)
    }
  }
  return claims
}

/** The cells of a table's row, or undefined for any other line. */
const cellsOf = (line: string): string[] | undefined =>
  line.trimStart().startsWith('|')
    ? line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim())
    : undefined

const quoted = (line: string): string[] => [...line.matchAll(/`([^`]+)`/g)].map(([, token = '']) => token)
const linked = (line: string): string[] => [...line.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, target = '']) => target)
const bare = (cell: string): string[] =>
  cell
    .replaceAll(/`[^`]*`/g, '')
    .split(/[\s,;]+/)
    .filter((token) => /^[\w.@{}*-]+(\/[\w.@{}*-]*)+$/.test(token))

function isPath(token: string, topLevel: readonly string[]): boolean {
  if (!/^[\w.@{},*-]+(\/[\w.@{},*-]+)*\/?$/.test(token)) return false
  const [first = '', ...rest] = token.split('/')
  if (rest.length > 0) return topLevel.includes(first) || /\.(ts|js|json|md|yml|graphql)$/.test(token)
  return /^[\w.-]+\.(ts|js|json|md|yml)$/.test(token)
}

/** `law 3`, `C12`; a range `C1–C3` stands for each of its rules. */
function lawsOf(cell: string): string[] {
  const laws = [...cell.matchAll(/\blaw (\d+)\b/gi)].map(([, number]) => `law ${number}`)
  const rules = [...cell.matchAll(/\bC(\d+)(?:\s*[–-]\s*C(\d+))?\b/g)].flatMap(([, from, to]) => {
    const first = Number(from)
    return Array.from({ length: Number(to ?? from) - first + 1 }, (_, step) => `C${first + step}`)
  })
  const numbered = laws.length + rules.length === 0 ? /^(\d+)\b/.exec(cell)?.[1] : undefined
  return [...laws, ...rules, ...(numbered === undefined ? [] : [`law ${numbered}`])]
}

/** A test's name is a string literal, given to the runner or kept in the data that it is fed. */
function tested(law: string, tests: readonly Document[]): boolean {
  const literal = new RegExp(`^(?!\\s*(//|\\*|/\\*)).*(['"\`])(?:(?!\\2).)*\\b${law}\\b`, 'm')
  return tests.some(({ text }) => literal.test(text))
}
