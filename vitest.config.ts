import { createRequire } from 'node:module'
import { defineConfig } from 'vitest/config'
import closingLine from './test/support/closing-line.ts'

export default defineConfig({
  // The file that Node itself resolves to: with Vite's choice there would be two graphql packages, and Apollo would refuse our schema.
  resolve: { alias: [{ find: /^graphql$/, replacement: createRequire(import.meta.url).resolve('graphql') }] },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/bench/peers/**'],
    globalSetup: ['test/support/global-setup.ts', 'test/support/shared-services.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ['default', closingLine],
  },
})
