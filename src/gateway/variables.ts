/** Of one request, as JSON gave them. */
export type Variables = Readonly<Record<string, unknown>>
