/** What a run of the load has come to: the figures, their ratios to the floor and to others, and which targets are met. */

import type { Floor, Primitives, SyncTimes } from './floor.ts';
import type { Figures } from './run-generator.ts';

export interface OpenLoopFigures {
  readonly system: 'quoral' | 'etcd' | 'bare';
  readonly mix: string;
  /** Of the operations a second that this system has reached in the closed loop. */
  readonly of: 'quoral' | 'etcd';
  readonly share: number;
  readonly rate: number;
  /** The round in the middle by p99. */
  readonly figures: Figures;
  /** Of all rounds. */
  readonly p99Ms: readonly number[];
}

type ByMix = Readonly<Record<string, Figures>>;

export interface LoadReport {
  readonly machine: string;
  readonly commit: string;
  readonly command: string;
  readonly durability: string;
  readonly primitives?: Primitives;
  readonly floor?: Floor;
  readonly sync?: SyncTimes;
  /** By mix: uniform keys for put and get, zipfian ones for the others. */
  readonly quoral: ByMix;
  readonly uniform: ByMix;
  /** Of processes that were started a moment ago. */
  readonly firstSeconds: ByMix;
  readonly byConnections: Readonly<Record<string, ByMix>>;
  readonly openLoop: readonly OpenLoopFigures[];
  readonly peers: { readonly etcd?: ByMix };
  readonly rounds: Rounds;
}

/** What each round came to; all that is in one round was measured within seconds of each other. */
export interface Rounds {
  readonly quoral: Readonly<Record<string, readonly Figures[]>>;
  readonly etcd: Readonly<Record<string, readonly Figures[]>>;
  readonly floor: readonly Floor[];
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

/** The one in the middle by `of`. */
export function medianOf<T>(rounds: readonly T[], of: (round: T) => number): T {
  return rounds.toSorted((a, b) => of(a) - of(b))[Math.floor(rounds.length / 2)]!;
}

/** The round in the middle by operations a second. */
export function median(rounds: readonly Figures[]): Figures {
  return medianOf(rounds, ({ opsPerSecond }) => opsPerSecond);
}

/**
 * The ratio in the middle of those of each round: a machine may be half as fast again a minute later, so two figures are
 * only compared when they were measured next to each other.
 */
function medianRatio<A, B>(mine: readonly A[], theirs: readonly B[], ratio: (mine: A, theirs: B) => number): number {
  return medianOf(
    mine.map((one, round) => ratio(one, theirs[round]!)),
    (value) => value,
  );
}

export function judge(report: LoadReport): JudgedReport {
  const { floor, quoral } = report.rounds;
  const ratio = (mix: keyof Floor): number =>
    medianRatio(quoral[mix]!, floor, ({ cpuMicrosPerOp }, least) => cpuMicrosPerOp / least[mix]);
  const ratioToFloor = floor.length === 0 ? {} : { put: ratio('put'), get: ratio('get') };
  return { ...report, ratioToFloor, targets: targetsOf(report, ratioToFloor) };
}

function targetsOf(report: LoadReport, ratioToFloor: JudgedReport['ratioToFloor']): readonly Target[] {
  const { rounds, peers, openLoop, sync } = report;
  const targets: Target[] = [];
  const most = (what: string, reached: number, bound: number): number =>
    targets.push({ what, wanted: `≤ ${bound.toFixed(1)}`, reached, met: reached <= bound });
  const least = (what: string, reached: number, bound: number): number =>
    targets.push({ what, wanted: `≥ ${bound.toFixed(1)}`, reached, met: reached >= bound });
  for (const [mix, ratio] of Object.entries(ratioToFloor)) most(`CPU of ${mix}, floor = 1`, ratio, 1.5);
  if (peers.etcd !== undefined) {
    const times = (mine: string, theirs: string): number =>
      medianRatio(rounds.quoral[mine]!, rounds.etcd[theirs]!, (a, b) => a.opsPerSecond / b.opsPerSecond);
    least('ops/s of put, etcd = 1', times('put', 'put'), 2);
    least('ops/s of get, linearizable get of etcd = 1', times('get', 'get'), 3);
    least('ops/s of get, serializable get of etcd = 1', times('get', 'getSerializable'), 2);
  }
  for (const { system, of, mix, share, figures } of openLoop) {
    if (system !== 'quoral' || of !== 'quoral' || share !== 0.5 || sync === undefined) continue;
    const bare = openLoop.find((other) => other.system === 'bare' && other.mix === mix)?.figures.p99Ms;
    const beside = bare === undefined ? '' : ` (nodes that do only what they cannot do without: ${bare.toFixed(2)})`;
    most(`p99 of ${mix} at half load, ms${beside}`, figures.p99Ms, Math.max(10, 4 * sync.fdatasyncP99Ms));
  }
  return targets;
}

const TITLES = ['ops/s', 'p50 ms', 'p99 ms', 'p99.9 ms', 'CPU µs/op', 'errors', 'wait µs', 'late p99'];

function line(name: string, cells: readonly string[]): string {
  return [name.padEnd(36), ...cells.map((cell) => cell.padStart(9))].join(' ');
}

/** `wait µs`: for which the nodes' main threads had no processor, an operation; `late p99`: of the generator, in ms. */
function row(name: string, figures: Figures): string {
  const { opsPerSecond, cpuMicrosPerOp, errors, waitMicrosPerOp, lateP99Ms } = figures;
  const times = [figures.p50Ms, figures.p99Ms, figures.p999Ms].map((value) => value.toFixed(2));
  const used = [cpuMicrosPerOp.toFixed(0), String(errors), waitMicrosPerOp.toFixed(0), lateP99Ms.toFixed(2)];
  return line(name, [opsPerSecond.toFixed(0), ...times, ...used]);
}

export function tableOf(report: JudgedReport): string {
  const { quoral, uniform, firstSeconds, byConnections, openLoop, peers, primitives, floor, sync, targets } = report;
  const named = (prefix: string, figures: ByMix): string[] =>
    Object.entries(figures).map(([mix, one]) => row(`${prefix}${mix}`, one));
  const lines = [
    line('', TITLES),
    ...named('quoral ', quoral),
    ...named('quoral uniform ', uniform),
    ...named('quoral just started ', firstSeconds),
    ...Object.entries(byConnections).flatMap(([count, figures]) => named(`quoral ${count} connections `, figures)),
    ...openLoop.map(({ system, of, mix, rate, share, figures }) =>
      row(`${system} ${mix} at ${rate}/s, ${share} of ${system === of ? 'own' : of}`, figures),
    ),
    ...named('etcd ', peers.etcd ?? {}),
  ];
  if (primitives !== undefined && floor !== undefined && sync !== undefined) {
    const { httpPut, httpGet, call, callOfRead, storagePut, storageGet, storageOwnPut, group, inFlight } = primitives;
    const micros = (value: number): string => value.toFixed(1);
    lines.push(
      '',
      `floor, CPU µs: put ${micros(floor.put)} = http ${micros(httpPut)} + 2 × call ${micros(call)} + 3 × storage ${micros(storagePut)}`,
      `               get ${micros(floor.get)} = http ${micros(httpGet)} + call ${micros(callOfRead)} + 2 × storage ${micros(storageGet)}`,
      `               (a row in the nodes' journal, and from there into SQLite, instead of each commit into SQLite: ${micros(storageOwnPut)})`,
      `commits of ${group} rows, ${inFlight} calls of writes in flight on a link; ${left(quoral['put'])}fdatasync of 4 KiB: p50 ${sync.fdatasyncP50Ms.toFixed(2)} ms, p99 ${sync.fdatasyncP99Ms.toFixed(2)} ms`,
    );
  }
  if (targets.length > 0) lines.push('');
  for (const { what, wanted, reached, met } of targets)
    lines.push(`${met ? 'met   ' : 'MISSED'} ${what}: ${reached.toFixed(2)}, wanted ${wanted}`);
  return lines.join('\n');
}

/** What a PUT's CPU time counts that was spent when its load had ended. */
function left(put: Figures | undefined): string {
  return put?.leftMicrosPerOp === undefined ? '' : `${put.leftMicrosPerOp.toFixed(1)} µs of a PUT spent afterwards; `;
}
