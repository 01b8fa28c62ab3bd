/** What a run of the load has come to: the figures, their ratios to the floor and to others, and which targets are met. */

import type { Floor, Primitives } from './floor.ts';
import type { Figures } from './run-generator.ts';

export interface OpenLoopFigures {
  readonly mix: string;
  /** Of the operations a second that the closed loop has reached. */
  readonly share: number;
  readonly rate: number;
  readonly figures: Figures;
}

type ByMix = Readonly<Record<string, Figures>>;

export interface LoadReport {
  readonly machine: string;
  readonly commit: string;
  readonly command: string;
  readonly durability: string;
  readonly primitives?: Primitives;
  readonly floor?: Floor;
  /** By mix: uniform keys for put and get, zipfian ones for the others. */
  readonly quoral: ByMix;
  readonly uniform: ByMix;
  /** Of processes that were started a moment ago. */
  readonly firstSeconds: ByMix;
  readonly byConnections: Readonly<Record<string, ByMix>>;
  readonly openLoop: readonly OpenLoopFigures[];
  readonly peers: { readonly etcd?: ByMix };
  readonly rounds: unknown;
}

export interface Target {
  readonly what: string;
  readonly wanted: string;
  readonly reached: number;
  readonly met: boolean;
}

export interface JudgedReport extends LoadReport {
  readonly ratioToFloor: Readonly<Partial<Record<keyof Floor, number>>>;
  readonly targets: readonly Target[];
}

/** The round in the middle by operations a second. */
export function median(rounds: readonly Figures[]): Figures {
  return rounds.toSorted((a, b) => a.opsPerSecond - b.opsPerSecond)[Math.floor(rounds.length / 2)]!;
}

export function judge(report: LoadReport): JudgedReport {
  const { floor, quoral } = report;
  const ratio = (mix: keyof Floor): number =>
    (quoral[mix]?.cpuMicrosPerOp ?? Number.NaN) / (floor?.[mix] ?? Number.NaN);
  const ratioToFloor = floor === undefined ? {} : { put: ratio('put'), get: ratio('get') };
  return { ...report, ratioToFloor, targets: targetsOf(report, ratioToFloor) };
}

function targetsOf(report: LoadReport, ratioToFloor: JudgedReport['ratioToFloor']): readonly Target[] {
  const { quoral, peers, openLoop, primitives } = report;
  const targets: Target[] = [];
  const most = (what: string, reached: number, bound: number): number =>
    targets.push({ what, wanted: `≤ ${bound.toFixed(1)}`, reached, met: reached <= bound });
  const least = (what: string, reached: number, bound: number): number =>
    targets.push({ what, wanted: `≥ ${bound.toFixed(1)}`, reached, met: reached >= bound });
  for (const [mix, ratio] of Object.entries(ratioToFloor)) most(`CPU of ${mix}, floor = 1`, ratio, 1.5);
  const { etcd } = peers;
  if (etcd !== undefined) {
    const times = (mine: string, theirs: string): number => quoral[mine]!.opsPerSecond / etcd[theirs]!.opsPerSecond;
    least('ops/s of put, etcd = 1', times('put', 'put'), 2);
    least('ops/s of get, linearizable get of etcd = 1', times('get', 'get'), 3);
    least('ops/s of get, serializable get of etcd = 1', times('get', 'getSerializable'), 2);
  }
  for (const { mix, share, figures } of openLoop) {
    if (share !== 0.5 || primitives === undefined) continue;
    most(`p99 of ${mix} at half load, ms`, figures.p99Ms, Math.max(10, 4 * primitives.fdatasyncP99Ms));
  }
  return targets;
}

const TITLES = ['ops/s', 'p50 ms', 'p99 ms', 'p99.9 ms', 'CPU µs/op', 'errors', 'wait µs', 'late p99'];

function line(name: string, cells: readonly string[]): string {
  return [name.padEnd(30), ...cells.map((cell) => cell.padStart(9))].join(' ');
}

/** `wait µs`: for which the nodes' main threads had no processor, an operation; `late p99`: of the generator, in ms. */
function row(name: string, figures: Figures): string {
  const { opsPerSecond, cpuMicrosPerOp, errors, waitMicrosPerOp, lateP99Ms } = figures;
  const times = [figures.p50Ms, figures.p99Ms, figures.p999Ms].map((value) => value.toFixed(2));
  const used = [cpuMicrosPerOp.toFixed(0), String(errors), waitMicrosPerOp.toFixed(0), lateP99Ms.toFixed(2)];
  return line(name, [opsPerSecond.toFixed(0), ...times, ...used]);
}

export function tableOf(report: JudgedReport): string {
  const { quoral, uniform, firstSeconds, byConnections, openLoop, peers, primitives, floor, targets } = report;
  const named = (prefix: string, figures: ByMix): string[] =>
    Object.entries(figures).map(([mix, one]) => row(`${prefix}${mix}`, one));
  const lines = [
    line('', TITLES),
    ...named('quoral ', quoral),
    ...named('quoral uniform ', uniform),
    ...named('quoral just started ', firstSeconds),
    ...Object.entries(byConnections).flatMap(([count, figures]) => named(`quoral ${count} connections `, figures)),
    ...openLoop.map(({ mix, rate, figures }) => row(`quoral ${mix} at ${rate}/s`, figures)),
    ...named('etcd ', peers.etcd ?? {}),
  ];
  if (primitives !== undefined && floor !== undefined) {
    const { httpPut, httpGet, call, storagePut, storageGet, group, inFlight, ...sync } = primitives;
    const micros = (value: number): string => value.toFixed(1);
    lines.push(
      '',
      `floor, CPU µs: put ${micros(floor.put)} = http ${micros(httpPut)} + 2 × call ${micros(call)} + 3 × storage ${micros(storagePut)}`,
      `               get ${micros(floor.get)} = http ${micros(httpGet)} + call ${micros(call)} + 2 × storage ${micros(storageGet)}`,
      `commits of ${group} rows, ${inFlight} calls in flight; fdatasync of 4 KiB: p50 ${sync.fdatasyncP50Ms.toFixed(2)} ms, p99 ${sync.fdatasyncP99Ms.toFixed(2)} ms`,
    );
  }
  if (targets.length > 0) lines.push('');
  for (const { what, wanted, reached, met } of targets)
    lines.push(`${met ? 'met   ' : 'MISSED'} ${what}: ${reached.toFixed(2)}, wanted ${wanted}`);
  return lines.join('\n');
}
