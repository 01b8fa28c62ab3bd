/** Starts the generator against a cluster and reads what its nodes used meanwhile. */

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { mindProcess } from '../interruption.ts';

const GENERATOR = new URL('generator.ts', import.meta.url).pathname;

export interface Figures {
  readonly operations: number;
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly errors: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** Of all nodes together, user and system, in the time that is measured. */
  readonly nodesCpuMicros: number;
  readonly cpuMicrosPerOp: number;
  /** Of that, what was left to be done when the load had ended, where that was waited for. */
  readonly leftMicrosPerOp?: number;
  /** For which the nodes' main threads were ready to run and had no processor, per operation (Linux; 0 elsewhere). */
  readonly waitMicrosPerOp: number;
  /** Of the generator, in the time that is measured. */
  readonly generatorCpuMicros: number;
  /** Those that were told to come back later (429, 503), how late they learnt that, and how many were not told when. */
  readonly refused: number;
  readonly refusedP50Ms: number;
  readonly refusedP99Ms: number;
  readonly withoutRetryAfter: number;
  /** Open loop: by how much the generator itself was late, and how many requests found no free connection. */
  readonly lateP50Ms: number;
  readonly lateP99Ms: number;
  readonly waited: number;
  /** By the second in which they were due, from the first on, which is not measured. */
  readonly seconds: readonly Second[];
}

export interface Second {
  /** Answered rightly, and how late. */
  readonly right: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly refused: number;
  readonly refusedP99Ms: number;
}

/** What the generator knows by itself. */
type Told = Omit<Figures, 'cpuMicrosPerOp' | 'waitMicrosPerOp' | 'nodesCpuMicros'>;

export type GeneratorFlags = Readonly<Record<string, string | number | undefined>>;

/** User and system CPU time of the processes so far, in microseconds (Linux; 0 elsewhere). */
export function cpuMicros(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      return 0;
    }
  }
  return ticks * 10_000;
}

/** For how long the main threads of the processes have waited for a processor so far, in microseconds (Linux; 0 elsewhere). */
function waitMicros(pids: readonly number[]): number {
  let nanoseconds = 0;
  for (const pid of pids) {
    try {
      nanoseconds += Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]);
    } catch {
      return 0;
    }
  }
  return nanoseconds / 1000;
}

interface Used {
  readonly cpu: number;
  readonly wait: number;
}

function usedBy(pids: readonly number[]): Used {
  return { cpu: cpuMicros(pids), wait: waitMicros(pids) };
}

export async function generate(
  cluster: { readonly urls: readonly string[]; readonly pids: readonly number[] },
  flags: GeneratorFlags,
): Promise<Figures> {
  const given = Object.entries({ ...flags, urls: cluster.urls.join(',') }).filter(([, value]) => value !== undefined);
  const args = given.flatMap(([name, value]) => [`--${name}`, value]);
  const generator = mindProcess(
    spawn(process.execPath, [GENERATOR, ...args], { stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  let before: Used = { cpu: 0, wait: 0 };
  let after = before;
  let result: Told | undefined;
  // The marks and the result come in any order.
  for await (const line of createInterface({ input: generator.stdout })) {
    const message = JSON.parse(line) as { mark?: string; result?: Told };
    if (message.mark === 'start') before = usedBy(cluster.pids);
    if (message.mark === 'end') after = usedBy(cluster.pids);
    result ??= message.result;
  }
  if (result === undefined) throw new Error(`the generator gave no result: ${args.join(' ')}`);
  const nodesCpuMicros = after.cpu - before.cpu;
  const perOp = (micros: number): number => micros / result.operations;
  return {
    ...result,
    ...{ nodesCpuMicros, cpuMicrosPerOp: perOp(nodesCpuMicros), waitMicrosPerOp: perOp(after.wait - before.wait) },
  };
}

/** Nodes begin a second after the last write with what it has left; then they are idle when a look finds them to do little. */
const LEAST_MS = 2000;
const LOOK_MS = 500;
const IDLE_SHARE = 0.1;
const MOST_MS = 15_000;

/**
 * A load, and what it leaves to be done: writes go from a journal into the store when there is time for it, which would fall on whatever
 * is measured next. Operations that were not measured have left their share of it.
 */
export async function generateAndSettle(
  cluster: Parameters<typeof generate>[0],
  flags: GeneratorFlags,
): Promise<Figures> {
  const figures = await generate(cluster, flags);
  return charged(figures, await untilIdle(cluster.pids));
}

/** The figures of a load that has left so many microseconds of CPU time to be done. */
export function charged(figures: Figures, leftMicros: number): Figures {
  const all = figures.seconds.reduce((sum, { right }) => sum + right, 0);
  const perOp = leftMicros / Math.max(all, figures.operations);
  return {
    ...figures,
    nodesCpuMicros: figures.nodesCpuMicros + perOp * figures.operations,
    cpuMicrosPerOp: figures.cpuMicrosPerOp + perOp,
    leftMicrosPerOp: perOp,
  };
}

/** What the nodes used until they were idle, in microseconds of CPU time. */
async function untilIdle(pids: readonly number[]): Promise<number> {
  const start = cpuMicros(pids);
  await sleep(LEAST_MS - LOOK_MS);
  for (let waited = LEAST_MS; waited < MOST_MS; waited += LOOK_MS) {
    const before = cpuMicros(pids);
    await sleep(LOOK_MS);
    if (cpuMicros(pids) - before < IDLE_SHARE * pids.length * LOOK_MS * 1000) break;
  }
  return cpuMicros(pids) - start;
}
