/** The figures of ring changes as tables of a page, to stand in bench/results/ring-changes.md. */

import type { ChangeFigures, LoadFigures } from './ring-report.ts';

export interface PartFigures {
  readonly changes: readonly ChangeFigures[];
  readonly load: LoadFigures | undefined;
}

const HEAD = [
  ...['change', 'took, s', 'replicas of partitions moved / at the least', 'keys', 'states taken over / keys'],
  ...['keys/s', 'MB/s', 'requests/s before', 'meanwhile', 'share'],
];

export function page(machine: string, commit: string, parts: Readonly<Record<string, PartFigures>>): string {
  const rows = Object.values(parts).flatMap(({ changes, load }) => changes.map((change) => changeRow(change, load)));
  const loads = Object.entries(parts).filter(([, { load }]) => (load?.requests ?? 0) > 0);
  return [
    `${machine}, commit ${commit}.`,
    '',
    line(HEAD),
    line(HEAD.map((_, i) => (i === 0 ? '---' : '---:'))),
    ...rows.map(line),
    '',
    line(['part', 'requests', 'failed', 'in flight at the killed', 'stale strict reads', 'acknowledged', 'missing']),
    line(['---', '---:', '---:', '---:', '---:', '---:', '---:']),
    ...loads.map(([name, { load }]) => line([name, ...loadCells(load!)])),
    '',
    'Processors that each node took while it moved without throttle:',
    Object.values(parts)
      .flatMap(({ changes, load }) => (load?.requests === 0 ? changes : []))
      .map(({ name, cpu }) => `${name}: ${shares(cpu)}.`)
      .join(' '),
    '',
  ].join('\n');
}

function changeRow(change: ChangeFigures, load: LoadFigures | undefined): readonly string[] {
  const { name, seconds, moves, leastMoves, plannedKeys, takenShare, keysPerSecond, mbPerSecond } = change;
  const through = load?.throughput.find((one) => one.name === name && one.before > 0);
  const throughput =
    through === undefined
      ? ['', '', '']
      : [
          through.before.toFixed(0),
          through.during.toFixed(0),
          `${((100 * through.during) / through.before).toFixed(0)} %`,
        ];
  return [
    ...[name, seconds.toFixed(1), `${moves} / ${leastMoves}`, String(plannedKeys), takenShare.toFixed(3)],
    ...[keysPerSecond.toFixed(0), mbPerSecond.toFixed(1), ...throughput],
  ];
}

function loadCells({ requests, failed, failedAtKilled, staleStrict, acknowledged, missing }: LoadFigures): string[] {
  return [requests, failed, failedAtKilled, staleStrict.length, acknowledged, missing.length].map(String);
}

function shares(cpu: Readonly<Record<string, number>>): string {
  return Object.entries(cpu)
    .map(([id, share]) => `${id} ${(100 * share).toFixed(0)} %`)
    .join(', ');
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
