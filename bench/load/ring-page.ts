/** The figures of ring changes as tables of a page, to stand in bench/results/ring-changes.md. */

import { availableParallelism } from 'node:os';
import type { ChangeFigures, LoadFigures } from './ring-report.ts';

export interface PartFigures {
  readonly changes: readonly ChangeFigures[];
  readonly load: LoadFigures | undefined;
}

/** Share of a processor from which on there is hardly more of it. */
const BUSY = 0.85;

const HEAD = [
  ...['change', 'took, s', 'replicas of partitions moved / at the least', 'keys', 'states taken over / keys'],
  ...['keys/s', 'MB/s', 'requests/s before', 'meanwhile', 'after', 'of before', 'of after'],
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
    ...Object.values(parts)
      .flatMap(({ changes, load }) => (load?.requests === 0 ? changes : []))
      .map(({ name, cpu }) => `${name}: of a processor took ${shares(cpu)}. ${bottleneck(cpu)}`),
    '',
  ].join('\n');
}

function changeRow(change: ChangeFigures, load: LoadFigures | undefined): readonly string[] {
  const { name, seconds, moves, leastMoves, plannedKeys, takenShare, keysPerSecond, mbPerSecond } = change;
  const through = load?.throughput.find((one) => one.name === name && one.before > 0);
  const throughput =
    through === undefined
      ? ['', '', '', '', '']
      : [
          ...[through.before.toFixed(0), through.during.toFixed(0), through.after.toFixed(0)],
          `${((100 * through.during) / through.before).toFixed(0)} %`,
          `${((100 * through.during) / through.after).toFixed(0)} %`,
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

/** Nodes do nearly everything in one thread each, so one that takes a whole processor can take no more. */
function bottleneck(cpu: Readonly<Record<string, number>>): string {
  const [busiest = ['', 0]] = Object.entries(cpu).sort(([, a], [, b]) => b - a);
  const all = Object.values(cpu).reduce((sum, share) => sum + share, 0);
  if (busiest[1] > BUSY) return `The bottleneck is the thread of ${busiest[0]}.`;
  if (all > BUSY * availableParallelism()) return 'The bottleneck are the processors of the machine.';
  return 'No processor is the bottleneck: nodes wait for each other and for the disk, one exchange after the other.';
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
