/** What the requests of an open loop say about outages: figures of each second, and of each outage as a whole. */

import type { Sent } from './open-loop.ts';

/** One node that is away; instants as in `Sent.due`. */
export interface Outage {
  readonly name: string;
  readonly victim: string;
  readonly from: number;
  /** When it was started again, or went on. */
  readonly until: number;
  /** When it served again. */
  readonly ready: number;
}

export interface Second {
  readonly second: number;
  readonly phase: string;
  readonly requests: number;
  readonly failed: number;
  readonly atVictim: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface OutageFigures {
  readonly name: string;
  readonly requests: number;
  /** Neither addressed to nor in flight at the victim. */
  readonly failed: number;
  readonly failures: readonly string[];
  readonly failedAtVictim: number;
  /** From the beginning to the first second without failures and with the p99 that is wanted, in steps of 100 ms. */
  readonly routedAroundMs: number;
  readonly p99BeforeMs: number;
  readonly p99DuringMs: number;
  readonly p99AfterFirstSecondMs: number;
  readonly p99AfterReturnMs: number;
  readonly p99TargetMs: number;
}

/** How long after its return requests may still have been in flight at the victim. */
const RETURN_MS = 1000;
const STEP_MS = 100;

export function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** A key that exists is never absent. */
export function hasFailed({ method, status }: Sent): boolean {
  return status !== (method === 'PUT' ? 204 : 200);
}

/** Whether the request met an outage at the node that is away: asked there, or forwarded to it as the coordinator. */
export function isAtVictim(sent: Sent, outages: readonly Outage[]): boolean {
  return outages.some(
    ({ victim, from, ready }) =>
      sent.due < ready + RETURN_MS &&
      sent.due + sent.took > from &&
      (sent.node === victim || (sent.trouble?.includes(`${victim}, which coordinated the write`) ?? false)),
  );
}

function p99(sent: readonly Sent[]): number {
  return percentile(
    sent.map(({ took }) => took),
    0.99,
  );
}

export function perSecond(sent: readonly Sent[], outages: readonly Outage[]): readonly Second[] {
  const start = sent.reduce((first, { due }) => Math.min(first, due), Infinity);
  const seconds = Map.groupBy(sent, ({ due }) => Math.floor((due - start) / 1000));
  return [...seconds]
    .sort(([a], [b]) => a - b)
    .map(([second, requests]) => {
      const others = requests.filter((request) => !isAtVictim(request, outages));
      const times = others.map(({ took }) => took);
      return {
        second,
        phase: requests[0]!.phase,
        requests: requests.length,
        failed: others.filter(hasFailed).length,
        atVictim: requests.filter((request) => hasFailed(request) && isAtVictim(request, outages)).length,
        p50Ms: percentile(times, 0.5),
        p99Ms: percentile(times, 0.99),
        maxMs: Math.max(0, ...times),
      };
    });
}

export function figuresOf(
  sent: readonly Sent[],
  outage: Outage,
  normal: readonly Sent[],
  afterMs: number,
): OutageFigures {
  const p99BeforeMs = p99(normal);
  const p99TargetMs = Math.max(2 * p99BeforeMs, 50);
  const within = (from: number, until: number): Sent[] => sent.filter(({ due }) => due >= from && due < until);
  const all = within(outage.from - 10_000, outage.ready + RETURN_MS);
  const others = all.filter((request) => !isAtVictim(request, [outage]));
  const during = others.filter(({ due }) => due >= outage.from && due < outage.until);
  let routedAroundMs = 0;
  for (; outage.from + routedAroundMs < outage.until; routedAroundMs += STEP_MS) {
    const from = outage.from + routedAroundMs;
    const second = during.filter(({ due }) => due >= from && due < from + 1000);
    if (!second.some(hasFailed) && p99(second) <= p99TargetMs) break;
  }
  const failures = others.filter((request) => hasFailed(request));
  return {
    name: outage.name,
    requests: during.length,
    failed: failures.length,
    failures: failures.slice(0, 20).map((request) => describe(request, outage.from)),
    failedAtVictim: all.filter((request) => hasFailed(request) && isAtVictim(request, [outage])).length,
    routedAroundMs,
    p99BeforeMs,
    p99DuringMs: p99(during),
    p99AfterFirstSecondMs: p99(during.filter(({ due }) => due >= outage.from + 1000)),
    p99AfterReturnMs: p99(within(outage.until, outage.until + afterMs).filter((r) => !isAtVictim(r, [outage]))),
    p99TargetMs,
  };
}

export function describe({ method, key, node, due, took, status, trouble }: Sent, since: number): string {
  const at = ((due - since) / 1000).toFixed(2);
  return `${method} ${key} at ${node}, due ${at} s, took ${took.toFixed(0)} ms: ${status} ${trouble ?? ''}`;
}
