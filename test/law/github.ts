/** A forge of repositories, as a service that publishes plain JSON rows would send it; an issue's record holds its labels. */

import type { Model } from '../../src/model/model.ts'
import { logOf, type Sent } from './change-arbitrary.ts'
import { bare, partitionOf, rowJson, type SourceWrite } from './debezium.ts'
import type { Draw } from './draw.ts'
import { asStored, type Foreign, nullable, reference } from './foreign-history.ts'
import type { Row } from './seen.ts'

const sizes = { orgs: 3, users: 7, teams: 7, repos: 7 }
const issuesEach = 4
/** Beyond 2^53, as a 64-bit source may count. */
const id = (index: number): string => String(9_007_199_254_740_993n + BigInt(index))
const issueKey = (index: number) => ({ repoId: id(Math.floor(index / issuesEach)), number: 1 + (index % issuesEach) })
const labels = ['bug', 'docs', 'Bug', 'good first issue', "won't fix"]

const epoch = 1_790_000_000n
const second = (version: bigint): string => new Date(Number(epoch + version) * 1000).toISOString().replace('.000Z', 'Z')
/** Around midnights in Berlin, one of them where the clock changes. */
const moment = (draw: Draw): string =>
  draw.pick([
    '2026-03-28T22:59:59Z',
    '2026-03-28T23:00:00Z',
    '2026-03-29T21:59:59.5Z',
    '2026-03-29T22:00:00Z',
    '2026-07-01T12:00:00Z',
  ])
const author = (draw: Draw): string | null => nullable(draw, reference(draw, sizes.users, id))

export const github: Foreign = {
  name: 'The GitHub-like schema',
  folder: 'test/schemas/github',
  tables: [
    {
      entity: 'Org',
      size: sizes.orgs,
      lasting: true,
      key: (i) => ({ id: id(i) }),
      rest: (d, _, version) => ({ login: d.pick(['acme', 'globex']), updatedAt: second(version) }),
    },
    {
      entity: 'User',
      size: sizes.users,
      key: (i) => ({ id: id(i) }),
      rest: (d, i) => ({ login: d.pick([`user${i}`, 'ghost', 'é']), email: nullable(d, `user${i}@example.com`) }),
    },
    {
      entity: 'Team',
      size: sizes.teams,
      key: (i) => ({ id: id(i) }),
      rest: (d) => ({
        orgId: reference(d, sizes.orgs, id),
        parentId: nullable(d, reference(d, sizes.teams, id)),
        name: d.pick(['core', 'Core', 'docs', '\u{1F600}']),
      }),
    },
    {
      entity: 'Membership',
      size: 20,
      key: (i) => ({ teamId: id(i % (sizes.teams + 1)), userId: id((i * 3) % (sizes.users + 1)) }),
      rest: (d) => ({ role: d.pick(['MAINTAINER', 'MEMBER', 'GUEST', 'OTHER']) }),
    },
    {
      entity: 'TeamRepo',
      size: 18,
      key: (i) => ({ teamId: id(i % (sizes.teams + 1)), repoId: id((i * 2) % (sizes.repos + 1)) }),
      rest: (d) => ({ push: d.oneIn(2) }),
    },
    {
      entity: 'Repo',
      size: sizes.repos,
      key: (i) => ({ id: id(i) }),
      rest: (d) => ({
        orgId: reference(d, sizes.orgs, id),
        name: d.pick(['forebay', 'Spoon-Knife', 'docs', 'é']),
        forkOfId: nullable(d, reference(d, sizes.repos, id)),
        topics: ['ods', 'graphql', 'a "quoted" one'].filter(() => d.oneIn(2)),
      }),
    },
    {
      entity: 'Issue',
      size: sizes.repos * issuesEach,
      key: issueKey,
      rest: (d) => ({
        title: d.pick(['It fails', "Don't"]),
        state: d.pick(['OPEN', 'CLOSED', 'OPEN', 'OTHER']),
        authorId: author(d),
        hidden: d.oneIn(7),
        openedAt: moment(d),
        labels: labels.filter(() => d.oneIn(3)),
      }),
    },
    {
      entity: 'Label',
      size: sizes.repos * 3,
      key: (i) => ({ repoId: id(Math.floor(i / 3)), name: labels[i % 3]! }),
      rest: (d) => ({ color: d.pick(['d73a4a', '0075ca']) }),
    },
    {
      entity: 'Comment',
      size: 20,
      key: (i) => ({ id: id(i) }),
      rest: (d) => ({ ...reference(d, sizes.repos * issuesEach, issueKey), authorId: author(d), createdAt: moment(d) }),
    },
  ],
  makeLog: (draw, model, { writes }) =>
    // A delete carries no version, so its place in the log is what orders it.
    logOf(
      draw,
      writes.map((write) => recordOf(model, write, 2)),
      ({ value }) => value === null,
    ),
  rows: ({ rows }) => new Map([...rows, ['IssueLabel', labelRows([...rows.get('Issue')!.values()])]]),
}

const labelsOf = (row: Row): readonly string[] => row.labels as readonly string[]

const labelRows = (issues: readonly Row[]): ReadonlyMap<string, Row> =>
  new Map(
    issues.flatMap((issue) =>
      labelsOf(issue).map((label): [string, Row] => {
        const row = { repoId: issue.repoId!, number: issue.number!, label }
        return [JSON.stringify(row), row]
      }),
    ),
  )

const recordOf = (model: Model, { entity, key, row, lsn }: SourceWrite, partitions: number): Sent => {
  const keyText = bare(JSON.stringify(rowJson(entity, key)))
  const value = row && {
    ...(rowJson(entity, asStored(model, entity, row)) as object),
    updated_at: Number(epoch + lsn),
    ...(entity.name === 'Issue' ? { labels: labelsOf(row).map((name) => ({ name, description: null })) } : {}),
  }
  return {
    topic: entity.source.topic,
    partition: partitionOf(keyText, partitions),
    timestamp: Number(epoch + lsn) * 1000 + 10,
    key: Buffer.from(keyText),
    value: value && Buffer.from(bare(JSON.stringify(value))),
    headers: {},
  }
}
