/** `npm run bench -- ingest|read|soak|decode [name=value …]` */
import { benchDecode } from './decode.ts'
import { benchIngest } from './ingest.ts'
import { benchRead } from './read.ts'
import { benchSoak } from './soak.ts'

const [verb, ...settings] = process.argv.slice(2)
const given = new Map(settings.map((setting) => setting.split('=') as [string, string]))
const number = (name: string, otherwise: number): number => Number(given.get(name) ?? otherwise)

switch (verb) {
  case 'ingest':
    await benchIngest({
      changes: number('changes', 500_000),
      customers: number('customers', 20_000),
      rate: number('rate', 1_000),
      seconds: number('seconds', 30),
    })
    break
  case 'read':
    await benchRead({
      customers: number('customers', 20_000),
      connections: number('connections', 32),
      seconds: number('seconds', 8),
      rounds: number('rounds', 3),
    })
    break
  case 'soak':
    await benchSoak({
      minutes: number('minutes', 10),
      rate: number('rate', 2_000),
      customers: number('customers', 20_000),
    })
    break
  case 'decode':
    await benchDecode({ records: number('records', 50_000), rounds: number('rounds', 7) })
    break
  default:
    process.stderr.write(
      'npm run bench -- ingest [changes=500000 customers=20000 rate=1000 seconds=30]\nnpm run bench -- read [customers=20000 connections=32 seconds=8 rounds=3]\nnpm run bench -- soak [minutes=10 rate=2000 customers=20000]\nnpm run bench -- decode [records=50000 rounds=7]\n',
    )
    process.exitCode = 2
}
