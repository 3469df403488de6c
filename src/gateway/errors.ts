/** The closed list of what can go wrong for a caller, and how it is said. */
import { GraphQLError, type GraphQLFormattedError } from 'graphql'

export type ErrorCode =
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'BAD_USER_INPUT'
  | 'STALE'
  | 'TOO_COSTLY'
  | 'RATE_LIMITED'
  | 'UNAVAILABLE'
  | 'VIEW_REBUILDING'
  | 'PERSISTED_QUERY_NOT_FOUND'
  | 'INTERNAL'

const status: Record<ErrorCode, number> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  BAD_USER_INPUT: 400,
  STALE: 503,
  TOO_COSTLY: 400,
  RATE_LIMITED: 429,
  UNAVAILABLE: 503,
  VIEW_REBUILDING: 503,
  // As Apollo's clients expect it: they send the document then.
  PERSISTED_QUERY_NOT_FOUND: 200,
  INTERNAL: 500,
}
export const statusOf = (code: ErrorCode): number => status[code]

/** Refuses the whole request: no data, the code's HTTP status. */
export const refusal = (code: ErrorCode, message: string): GraphQLError =>
  new GraphQLError(message, { extensions: { code, http: { status: status[code] } } })

/** What was asked, and what is, by view. No value of a row stands in it. */
export type Stale = {
  readonly message: string
  readonly asked: Readonly<Record<string, unknown>>
  readonly views: Readonly<Record<string, unknown>>
}
/** Refuses the whole request, since nothing fresh enough can be answered. */
export const staleError = ({ message, ...stale }: Stale): GraphQLError =>
  new GraphQLError(message, { extensions: { code: 'STALE', http: { status: status.STALE }, stale } })

/** Fails one field: its siblings are answered, so the HTTP status stays 200. */
export const fieldError = (code: ErrorCode, message: string): GraphQLError =>
  new GraphQLError(message, { extensions: { code } })

/** Refuses the whole request, and says how far what it asks for is: `progress` from 0 to 1, `secondsLeft`; null where that isn't known. */
export const rebuildingError = (
  message: string,
  rebuild: { readonly progress: number | null; readonly secondsLeft: number | null },
): GraphQLError =>
  new GraphQLError(message, {
    extensions: { code: 'VIEW_REBUILDING', http: { status: status.VIEW_REBUILDING }, rebuild },
  })

/** The codes of Apollo Server, in our words. What isn't listed is ours already, or unforeseen. */
const foreign: Readonly<Record<string, ErrorCode>> = {
  GRAPHQL_PARSE_FAILED: 'BAD_USER_INPUT',
  GRAPHQL_VALIDATION_FAILED: 'BAD_USER_INPUT',
  OPERATION_RESOLUTION_FAILURE: 'BAD_USER_INPUT',
  BAD_REQUEST: 'BAD_USER_INPUT',
  PERSISTED_QUERY_NOT_SUPPORTED: 'BAD_USER_INPUT',
}
const isOurs = (code: unknown): code is ErrorCode => typeof code === 'string' && Object.hasOwn(status, code)

/** The parser's way of saying it, spelling included. */
const tooManyTokens = /^Syntax Error: Document contains more tha[nt] \d+ tokens/

/**
 * The last gate of every error: a code of the list, a message that names no hidden field ("Did you mean …" is cut), and for
 * what nobody foresaw a message without content. `seen` gets the unforeseen ones.
 */
export const formatError = (
  formatted: GraphQLFormattedError,
  error: unknown,
  seen: (error: unknown) => void,
): GraphQLFormattedError => {
  const given = formatted.extensions?.code
  const known = isOurs(given) ? given : typeof given === 'string' ? foreign[given] : undefined
  const code = tooManyTokens.test(formatted.message) ? 'TOO_COSTLY' : known
  const place = {
    ...(formatted.locations && { locations: formatted.locations }),
    ...(formatted.path && { path: formatted.path }),
  }
  if (code === undefined || code === 'INTERNAL') {
    seen(error)
    return {
      message: 'Something went wrong here, not with the request. It has been logged.',
      ...place,
      extensions: { code: 'INTERNAL' },
    }
  }
  const rebuild = code === 'VIEW_REBUILDING' ? { rebuild: formatted.extensions?.rebuild } : {}
  const stale = code === 'STALE' ? { stale: formatted.extensions?.stale } : {}
  const extensions = { code, ...rebuild, ...stale }
  return { message: formatted.message.replace(/ Did you mean .*$/s, ''), ...place, extensions }
}
