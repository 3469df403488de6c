/** Ends the run with one line, `N passed, N failed` (`, N skipped` when there are any), which scripts read. */
import type { Reporter, SerializedError, TestModule } from 'vitest/node'

const closingLine: Reporter = {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]) {
    const count = { passed: 0, failed: unhandled.length, skipped: 0 }
    for (const module of modules) {
      let failed = 0
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') count.passed++
        else if (state === 'failed') failed++
        else count.skipped++
      }
      // A file that could not be loaded has no tests to fail.
      count.failed += failed === 0 && module.state() === 'failed' ? 1 : failed
    }
    const skipped = count.skipped ? `, ${count.skipped} skipped` : ''
    process.stdout.write(`${count.passed} passed, ${count.failed} failed${skipped}\n`)
  },
}
export default closingLine
