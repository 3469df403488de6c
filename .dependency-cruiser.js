// The direction of imports: model and platform know neither half, the halves don't know each other, only main.ts, operate and the CLI compose.
/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'model-stands-alone', severity: 'error', from: { path: '^src/model' }, to: { path: '^src/(ingest|gateway|operate|console|platform|cli)' } },
    { name: 'platform-stands-alone', severity: 'error', from: { path: '^src/platform' }, to: { path: '^src/(ingest|gateway|operate|console|model|cli)' } },
    { name: 'ingest-not-gateway', severity: 'error', from: { path: '^src/ingest' }, to: { path: '^src/(gateway|operate|console|cli)' } },
    { name: 'gateway-not-ingest', severity: 'error', from: { path: '^src/gateway' }, to: { path: '^src/(ingest|operate|cli)' } },
    { name: 'src-not-test', severity: 'error', from: { path: '^src' }, to: { path: '^test' } },
    { name: 'no-orphans', severity: 'error', from: { orphan: true, path: '^src', pathNot: '^src/console' }, to: {} },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: 'node_modules|test/bench/peers' },
    parser: 'swc',
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.json'], exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
}
