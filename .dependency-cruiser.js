// The direction of imports: model and platform know neither half, the halves don't know each other, only operate and the CLI compose.
const forbid = (name, from, to) => ({ name, severity: 'error', from, to })
const parts = (...names) => ({ path: `^src/(${names.join('|')})(/|\\.ts$)` })

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    forbid('no-cycles', {}, { circular: true }),
    forbid('model-stands-alone', parts('model'), parts('platform', 'ingest', 'gateway', 'operate', 'console', 'cli')),
    forbid(
      'platform-stands-alone',
      parts('platform'),
      parts('model', 'ingest', 'gateway', 'operate', 'console', 'cli'),
    ),
    forbid('ingest-knows-no-other-half', parts('ingest'), parts('gateway', 'operate', 'console', 'cli')),
    forbid('gateway-knows-no-other-half', parts('gateway'), parts('ingest', 'operate', 'cli')),
    forbid('only-the-cli-is-on-top', parts('operate'), parts('cli')),
    forbid('src-knows-no-domain', { path: '^src' }, { path: '^schema' }),
    forbid('src-knows-no-test', { path: '^src' }, { path: '^test' }),
    forbid(
      'src-runs-without-development-packages',
      { path: '^src' },
      { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    ),
    forbid('no-orphans', { orphan: true, path: '^src', pathNot: '^src/console' }, {}),
    forbid('everything-imported-exists', {}, { couldNotResolve: true }),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: 'test/bench/peers' },
    // The compiler's own API isn't stable across its major versions.
    parser: 'swc',
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
}
