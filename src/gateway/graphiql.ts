import type { Route } from '../platform/http.ts'
export const graphiqlRoutes = async (): Promise<readonly Route[]> => []
