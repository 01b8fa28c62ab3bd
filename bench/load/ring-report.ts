/** The figures of ring changes: what each cost, and what clients noticed. */

import type { AppliedChange } from './ring-operator.ts';
import { TENTH_MS, type RingLoadResult } from './ring-load.ts';

export interface ChangeFigures {
  readonly name: string;
  readonly from: number;
  readonly until: number;
  readonly seconds: number;
  readonly moves: number;
  readonly leastMoves: number;
  readonly plannedKeys: number;
  /** States that were taken over, as a multiple of the plan's keys when those are the fewest that can move. */
  readonly takenShare: number;
  readonly keysPerSecond: number;
  readonly mbPerSecond: number;
  /** Share of one processor that each node's process took meanwhile. */
  readonly cpu: Readonly<Record<string, number>>;
  readonly calmMs: number;
}

export interface LoadFigures {
  readonly keys: number;
  readonly requests: number;
  readonly failed: number;
  /** In flight at a node when it was killed. */
  readonly failedAtKilled: number;
  readonly failures: readonly string[];
  readonly staleStrict: readonly string[];
  readonly staleAtDefaults: number;
  readonly acknowledged: number;
  readonly missing: readonly string[];
  readonly throughput: readonly Throughput[];
}

/** Requests a second in the calm before a change, while it went on, and in the calm after it. */
export interface Throughput {
  readonly name: string;
  readonly before: number;
  readonly during: number;
  readonly after: number;
}

const AT_KILL_MS = 500;
/** After a change the log of the databases is copied for a moment, and rows are let go of. */
export const SETTLE_MS = 4000;

export function changeFigures(
  name: string,
  { from, until, moves, leastMoves, keys, bytes, taken }: AppliedChange,
  cpuMs: Readonly<Record<string, number>>,
  calmMs: number,
): ChangeFigures {
  const seconds = (until - from) / 1000;
  return {
    ...{ name, from, until, seconds, moves, leastMoves, plannedKeys: keys, calmMs },
    takenShare: keys === 0 ? 0 : taken / (keys * (leastMoves / moves)),
    keysPerSecond: keys / seconds,
    mbPerSecond: bytes / 1e6 / seconds,
    cpu: Object.fromEntries(Object.entries(cpuMs).map(([id, ms]) => [id, ms / 1000 / seconds])),
  };
}

export function loadFigures(
  result: RingLoadResult | undefined,
  missing: readonly string[],
  keys: number,
  killed: readonly { readonly node: string; readonly at: number }[],
  changes: readonly ChangeFigures[],
): LoadFigures {
  const failures = result?.failures ?? [];
  const others = failures.filter(
    ({ node, begun, ended }) =>
      !killed.some((one) => one.node === node && begun <= one.at + AT_KILL_MS && ended >= one.at),
  );
  return {
    ...{ keys, requests: result?.requests ?? 0, acknowledged: result?.acknowledged ?? 0 },
    ...{ failed: others.length, failedAtKilled: failures.length - others.length },
    failures: others.slice(0, 50).map(({ text, begun }) => `${inWhich(begun, changes)}: ${text}`),
    ...{ staleStrict: result?.stale ?? [], staleAtDefaults: result?.staleAtDefaults ?? 0, missing },
    throughput: changes.map(({ name, from, until, calmMs }) => ({
      name,
      before: perSecond(result, from - calmMs, from),
      during: perSecond(result, from, until),
      after: perSecond(result, until + SETTLE_MS, until + SETTLE_MS + calmMs),
    })),
  };
}

function inWhich(instant: number, changes: readonly ChangeFigures[]): string {
  const change = changes.find(({ from, until }) => instant >= from && instant <= until + AT_KILL_MS);
  return change === undefined ? 'between changes' : `${change.name}, ${((instant - change.from) / 1000).toFixed(2)} s`;
}

function perSecond(result: RingLoadResult | undefined, from: number, until: number): number {
  if (result === undefined) return 0;
  const [first, last] = [from, until].map((instant) => Math.round((instant - result.from) / TENTH_MS)) as [
    number,
    number,
  ];
  const answered = result.perTenth.slice(first, last).reduce<number>((sum, count) => sum + (count ?? 0), 0);
  return (answered / (until - from)) * 1000;
}

export function show({
  changes,
  load,
}: {
  readonly changes: readonly ChangeFigures[];
  readonly load: LoadFigures | undefined;
}): void {
  for (const {
    name,
    seconds,
    moves,
    leastMoves,
    plannedKeys,
    takenShare,
    keysPerSecond,
    mbPerSecond,
    cpu,
  } of changes) {
    const busy = Object.entries(cpu).map(([id, share]) => `${id} ${(share * 100).toFixed(0)} %`);
    console.log(
      `  ${name}: ${seconds.toFixed(1)} s, ${moves} moves of ${leastMoves} at the least, ${plannedKeys} keys planned, ` +
        `${takenShare.toFixed(3)} × taken over, ${keysPerSecond.toFixed(0)} keys/s, ${mbPerSecond.toFixed(1)} MB/s; CPU ${busy.join(', ')}`,
    );
  }
  if (load === undefined) return;
  for (const { name, before, during, after } of load.throughput) {
    if (before > 0)
      console.log(
        `  ${name}: ${before.toFixed(0)} requests/s before, ${during.toFixed(0)} during, ${after.toFixed(0)} after; ` +
          `${((during / before) * 100).toFixed(0)} % and ${((during / after) * 100).toFixed(0)} %`,
      );
  }
  verdict('failed requests', load.failed);
  for (const failure of load.failures.slice(0, 10)) console.log(`    ${failure}`);
  console.log(`  of ${load.requests} requests; ${load.failedAtKilled} more were in flight at a node that was killed`);
  verdict('stale strict reads', load.staleStrict.length);
  for (const text of load.staleStrict.slice(0, 10)) console.log(`    ${text}`);
  if (load.staleAtDefaults > 0) console.log(`  ${load.staleAtDefaults} reads at the defaults were stale`);
  verdict(`of ${load.acknowledged} acknowledged writes missing`, load.missing.length);
  for (const text of load.missing.slice(0, 10)) console.log(`    ${text}`);
}

function verdict(what: string, count: number): void {
  console.log(`  ${count} ${what}${count === 0 ? '' : '  <-- must be 0'}`);
}
