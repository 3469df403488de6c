/** `npm run bench -- ingest|live|flat|fanout|profile|read|soak|decode [name=value …]` */
import { benchDecode } from './decode.ts'
import { benchFanout } from './fanout.ts'
import { benchFlat } from './flat.ts'
import { benchIngest } from './ingest.ts'
import { benchLive } from './live.ts'
import { benchProfile } from './profile.ts'
import { benchRead } from './read.ts'
import { benchSoak } from './soak.ts'

const benches: Readonly<Record<string, { readonly defaults: Readonly<Record<string, string>>; run(): Promise<void> }>> =
  {
    ingest: {
      defaults: { changes: '500000', customers: '20000', peers: '0', flink: 'last' },
      run: () =>
        benchIngest({
          changes: number('changes'),
          customers: number('customers'),
          peers: number('peers') > 0,
          order: text('flink') === 'guarded' ? 'lsn' : 'seen',
        }),
    },
    live: {
      defaults: { rates: '500,2000,5000', seconds: '20', customers: '20000', preload: '100000' },
      run: () =>
        benchLive({
          rates: text('rates').split(',').map(Number),
          seconds: number('seconds'),
          customers: number('customers'),
          preload: number('preload'),
        }),
    },
    flat: {
      defaults: { most: '1000000', changes: '100', extremes: '0' },
      run: () => benchFlat({ most: number('most'), changes: number('changes'), extremes: number('extremes') > 0 }),
    },
    fanout: {
      defaults: { rows: '200000', rate: '200', seconds: '20' },
      run: () => benchFanout({ rows: number('rows'), rate: number('rate'), seconds: number('seconds') }),
    },
    profile: {
      defaults: { changes: '500000', customers: '20000', statements: '10' },
      run: () =>
        benchProfile({
          changes: number('changes'),
          customers: number('customers'),
          statements: number('statements'),
        }),
    },
    read: {
      defaults: {
        scenarios: 'key,list,hot,ingest,distinct',
        customers: '20000',
        connections: '32',
        seconds: '5',
        rounds: '3',
        beside: '500',
        changes: '2000',
        distinct: '100000',
      },
      run: () =>
        benchRead({
          customers: number('customers'),
          connections: number('connections'),
          seconds: number('seconds'),
          rounds: number('rounds'),
          beside: number('beside'),
          changes: number('changes'),
          distinct: number('distinct'),
          scenarios: text('scenarios').split(','),
        }),
    },
    soak: {
      defaults: { minutes: '10', rate: '2000', customers: '20000' },
      run: () => benchSoak({ minutes: number('minutes'), rate: number('rate'), customers: number('customers') }),
    },
    decode: {
      defaults: { records: '50000', rounds: '7' },
      run: () => benchDecode({ records: number('records'), rounds: number('rounds') }),
    },
  }

const [verb = '', ...settings] = process.argv.slice(2)
const bench = benches[verb]
const given = new Map(settings.map((setting) => setting.split('=', 2) as [string, string]))
const text = (name: string): string => given.get(name) ?? bench!.defaults[name]!
const number = (name: string): number => {
  const value = Number(text(name))
  if (Number.isNaN(value)) throw new Error(`${name}=${text(name)} is no number`)
  return value
}
const unknown = [...given.keys()].filter((name) => bench && !(name in bench.defaults))

if (bench && unknown.length === 0) await bench.run()
else {
  const usage = Object.entries(benches).map(([name, { defaults }]) => {
    const shown = Object.entries(defaults).map(([setting, value]) => `${setting}=${value}`)
    return `npm run bench -- ${name} [${shown.join(' ')}]\n`
  })
  if (unknown.length > 0) process.stderr.write(`${verb} has no setting ${unknown.join(', ')}\n`)
  process.stderr.write(usage.join(''))
  process.exitCode = 2
}
