/**
 * CPU that a whole GET within the process takes under each way of being watched, all threads together. The ways take turns,
 * and the medians are compared.
 * Run it with `node bench/micro/watching.bench.ts`.
 */

import { openSync } from 'node:fs';
import { createApp } from '#api/app.ts';
import { inProcess, type InProcess } from '#api/in-process.ts';
import type { ApiServices } from '#api/services.ts';
import { createLog } from '#world/real/log.ts';
import { createMetrics } from '#world/real/metrics.ts';
import { createTrace } from '#world/real/trace.ts';
import type { Trace } from '#world/world.ts';
import { benchServices } from './api-services.ts';

interface Cost {
  readonly name: string;
  readonly microseconds: number;
}

const REQUESTS = 500;

/** A real tracer whose collector takes everything at once. */
function tracer(sample: number): Trace {
  return createTrace({
    endpoint: 'http://nowhere.invalid',
    sample,
    resource: {},
    log: createLog({ level: 'error' }),
    metrics: createMetrics(),
    queueMax: 100_000,
    batchDelay: 100,
    exporter: { export: (_spans, done) => done({ code: 0 }), shutdown: () => Promise.resolve() },
  });
}

function ways(): Readonly<Record<string, InProcess>> {
  const api = (change: Partial<ApiServices>): InProcess =>
    inProcess(createApp({ ...benchServices(new Uint8Array(1024)), ...change }));
  const { settings } = benchServices(new Uint8Array());
  const log = createLog({ level: 'info', descriptor: openSync('/dev/null', 'w') });
  return {
    'as by default': api({}),
    'a line in the log for each': api({ log, settings: { ...settings, accessLog: 'all' } }),
    'tracing on, 1 % sampled': api({ trace: tracer(0.01) }),
    'tracing on, all sampled': api({ trace: tracer(1) }),
  };
}

/** The medians of so many rounds. */
export async function run(rounds: number): Promise<readonly Cost[]> {
  const times = new Map<string, number[]>();
  const all = Object.entries(ways());
  for (let round = 0; round < rounds; round++) {
    for (const [name, send] of round % 2 === 0 ? all : all.toReversed()) {
      const before = process.cpuUsage();
      for (let i = 0; i < REQUESTS; i++) await send('GET', '/v1/kv/bench/key');
      const { user, system } = process.cpuUsage(before);
      times.set(name, [...(times.get(name) ?? []), (user + system) / REQUESTS]);
    }
  }
  return [...times].map(([name, each]) => ({
    name,
    microseconds: each.toSorted((a, b) => a - b)[Math.floor(each.length / 2)]!,
  }));
}

if (process.argv[1] === import.meta.filename) {
  const costs = await run(60);
  const [first] = costs;
  for (const { name, microseconds } of costs) {
    const ratio = (microseconds / first!.microseconds).toFixed(2);
    console.log(`${microseconds.toFixed(1).padStart(8)} µs of CPU  ${ratio}×  ${name}`);
  }
  process.exit(0);
}
