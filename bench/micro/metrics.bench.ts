/**
 * What it costs to watch: the counting that every request pays for, and tracing while nothing is traced, beside the same
 * through prom-client's own calls.
 * Run it with `node bench/micro/metrics.bench.ts`.
 */

import { Histogram, Registry } from 'prom-client';
import { Bench } from 'tinybench';
import { Admission } from '#api/admission.ts';
import { RequestFigures } from '#api/request-figures.ts';
import { beginRequestSpan } from '#api/request-span.ts';
import { DEFAULT_API_SETTINGS } from '#api/services.ts';
import { DEFAULT_PROPERTIES } from '#buckets/definition.ts';
import { CoordinatorFigures } from '#coordinator/figures.ts';
import type { ReadOutcome, ReadRequest, WriteOutcome } from '#coordinator/requests.ts';
import { traced } from '#coordinator/traced.ts';
import { epoch, nodeId, nodeIndex } from '#kernel/identity.ts';
import { ConflictFigures } from '#replica/conflicts.ts';
import { NO_TRACE } from '#world/no-trace.ts';
import { createMetrics } from '#world/real/metrics.ts';

interface Cost {
  readonly name: string;
  readonly nanoseconds: number;
  /** Of memory that one call allocates. */
  readonly bytes: number;
}

const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const ROUTE = '/v1/kv/:bucket/:key';
/** Of one sample of the bench: a single call is shorter than its clock can see. */
const CALLS = 1000;

/** Measures each piece for about `milliseconds`. */
export async function run(milliseconds: number): Promise<readonly Cost[]> {
  const metrics = createMetrics();
  const counter = metrics.counter('a_total', 'A.', { b: 'c' });
  const histogram = metrics.histogram('d_seconds', 'D.', BUCKETS, { route: ROUTE, method: 'PUT' });
  const labels = { name: 'd_seconds', help: 'D.', labelNames: ['route', 'method'], buckets: BUCKETS };
  const theirs = new Histogram({ ...labels, registers: [new Registry()] }).labels({ route: ROUTE, method: 'PUT' });
  const figures = new RequestFigures(metrics, new Admission(DEFAULT_API_SETTINGS, undefined));
  const coordinator = new CoordinatorFigures(metrics);
  const conflicts = new ConflictFigures(metrics);
  const answer = { status: 204, headers: {}, body: null };
  const dot = { node: nodeIndex(0), tenure: 1, counter: 200_000_000_000_000 };
  const before = { vector: [dot], versions: [{ dot, content: null, expiresAt: 0 }] };
  const self = nodeId('n1');
  const bucket = { name: 'b', incarnation: 0, version: epoch(0), properties: DEFAULT_PROPERTIES };
  const agreement = { acked: 2, needed: 2, of: 3, fallbacks: 0 };
  const found: ReadOutcome = { kind: 'found', agreement, coordinator: self, ...before, context: [dot] };
  const applied: WriteOutcome = {
    kind: 'applied',
    agreement,
    coordinator: self,
    ...before,
    context: [dot],
    written: dot,
  };
  const request: ReadRequest = {
    ...{ requestId: 'r', bucket, key: new Uint8Array(8), deadline: 0, trace: undefined },
    ...{ r: 2, pr: 0, sloppy: true },
  };
  const outcome = Promise.resolve(found);
  const pieces: readonly (readonly [string, () => unknown])[] = [
    ['a counter', () => counter.add()],
    ['a histogram', () => histogram.observe(0.0017)],
    ['the same histogram through prom-client', () => theirs.observe(0.0017)],
    ['a request at the front door', () => figures.count(ROUTE, 'PUT', answer, 0.0017)],
    ['a read at the coordinator', () => coordinator.read(found, 'value')],
    ['a write at the coordinator', () => coordinator.write(applied)],
    ['a write at a replica', () => conflicts.minted(before, before.vector, 'lww')],
    ['the front door, nothing traced', () => beginRequestSpan(NO_TRACE, undefined as never, ROUTE, 'r')],
    ['the coordinator, nothing traced', () => traced('coordinator.get', request, () => outcome)],
  ];
  const bench = new Bench({ time: milliseconds, warmupTime: milliseconds / 2 });
  for (const [name, piece] of pieces) {
    bench.add(name, () => {
      for (let i = 0; i < CALLS; i++) piece();
    });
  }
  await bench.run();
  return bench.tasks.map((task) => {
    if (task.result.state !== 'completed') throw new Error(`${task.name}: ${task.result.state}`);
    const piece = pieces.find(([name]) => name === task.name)![1];
    return { name: task.name, nanoseconds: (task.result.latency.p50 * 1e6) / CALLS, bytes: allocatedBy(piece) };
  });
}

/** The least that a few rounds have shown: a round in which garbage was collected shows less than nothing. */
function allocatedBy(piece: () => unknown): number {
  const rounds = Array.from({ length: 20 }, () => {
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < CALLS; i++) piece();
    return process.memoryUsage().heapUsed - before;
  });
  const least = Math.min(...rounds.filter((bytes) => bytes >= 0));
  // Asking itself takes a few hundred bytes.
  return Math.round(least / CALLS);
}

if (process.argv[1] === import.meta.filename) {
  for (const { name, nanoseconds, bytes } of await run(500)) {
    console.log(`${nanoseconds.toFixed(1).padStart(8)} ns ${String(bytes).padStart(6)} bytes  ${name}`);
  }
}
