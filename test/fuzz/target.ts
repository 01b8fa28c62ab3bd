/**
 * A fuzzing target: something that is opened once, tried with generated cases, and must be well afterwards. A campaign
 * runs batches of cases; batch i of seed s is batch 0 of seed s+i, so that any failure is replayed by one number.
 */

import fc from 'fast-check';

/** Bytes by which the heap may be larger after any number of cases than after the first batch. */
const HEAP_GROWTH_MAX = 24 * 1024 * 1024;

export interface Target {
  readonly name: string;
  readonly about: string;
  open(): Promise<OpenTarget>;
}

export interface OpenTarget {
  /** One case; rejects when a promise is broken. */
  readonly property: fc.IAsyncProperty<[unknown]>;
  /** Rejects unless the target serves, and has complained of nothing that is its own fault. */
  wellness(): Promise<void>;
  /** After a garbage collection. */
  heapBytes(): Promise<number>;
  close(): Promise<void>;
}

export interface Effort {
  readonly seed: number;
  /** Cases in a batch. */
  readonly batch: number;
  /** Whether to go on with another batch after so many. */
  readonly more: (batches: number) => boolean;
}

export interface Report {
  readonly cases: number;
  readonly heapBytes: readonly [before: number, after: number];
  /** Undefined when every promise was kept. */
  readonly failure: { readonly seed: number; readonly text: string } | undefined;
}

export async function campaign(target: Target, { seed, batch, more }: Effort): Promise<Report> {
  const open = await target.open();
  try {
    let cases = 0;
    let before = 0;
    for (let i = 0; i === 0 || more(i); i++) {
      const text = (await tryBatch(open, seed + i, batch)) ?? (await complaint(open.wellness()));
      cases += batch;
      if (i === 0) before = await open.heapBytes().catch(() => 0);
      if (text !== undefined) return { cases, heapBytes: [before, 0], failure: { seed: seed + i, text } };
    }
    const after = await open.heapBytes();
    const grown = after > before + HEAP_GROWTH_MAX ? `the heap has grown from ${before} to ${after} bytes` : undefined;
    return { cases, heapBytes: [before, after], failure: grown === undefined ? undefined : { seed, text: grown } };
  } finally {
    await open.close();
  }
}

async function tryBatch({ property }: OpenTarget, seed: number, numRuns: number): Promise<string | undefined> {
  const details = await fc.check(property, { seed, numRuns });
  if (!details.failed) return undefined;
  const cause = details.errorInstance instanceof Error ? details.errorInstance.message : String(details.errorInstance);
  return `${cause}\n${fc.defaultReportMessage(details)}`;
}

async function complaint(check: Promise<void>): Promise<string | undefined> {
  try {
    await check;
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
