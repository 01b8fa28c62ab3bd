/**
 * Watches: milliseconds from the request that writes, as its client sends it, to the event, as a watcher reads it. Both are in this
 * process, so one clock measures both; the answer to the write comes at about the same time.
 */

import { get, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { ManyKeysNodes, milliseconds, percentile } from './many-keys-nodes.ts';
import type { PartOptions, Row } from './many-keys.ts';

const BUCKET = 'watched';

export async function measureWatching({ quick, basePort }: PartOptions): Promise<readonly Row[]> {
  const nodes = await ManyKeysNodes.start(basePort, 16);
  const rows: Row[] = [];
  try {
    for (let round = 0; round < (quick ? 1 : 3); round++) {
      for (const [watchers, rate] of quick
        ? ([
            [1, 50],
            [20, 20],
          ] as const)
        : CASES)
        rows.push(await measure(nodes, watchers, rate, quick ? 2 : 8));
    }
  } finally {
    await nodes.stop();
  }
  return rows;
}

const CASES: readonly (readonly [watchers: number, writesPerSecond: number])[] = [
  [1, 20],
  [1, 500],
  [100, 50],
  [300, 50],
];

async function measure(nodes: ManyKeysNodes, watchers: number, rate: number, seconds: number): Promise<Row> {
  const sent = new Map<string, number>();
  const times: number[] = [];
  const answers: number[] = [];
  let events = 0;
  const told = (key: string): void => {
    const at = sent.get(key);
    if (at === undefined) return;
    events += 1;
    times.push(performance.now() - at);
  };
  const urls = Object.values(nodes.nodes.urls);
  const streams = await Promise.all(Array.from({ length: watchers }, (_, i) => watch(urls[i % 3]!, told)));
  await sleep(500);
  const cpu = nodes.cpu();
  const start = performance.now();
  const total = Math.round(rate * seconds);
  const writes: Promise<void>[] = [];
  for (let i = 0; i < total; i++) {
    const wait = start + (i * 1000) / rate - performance.now();
    if (wait > 0) await sleep(wait);
    const key = `k${start.toFixed(0)}-${i}`;
    const begun = performance.now();
    sent.set(key, begun);
    writes.push(
      nodes
        .send(i, 'PUT', `/v1/kv/${BUCKET}/${key}`, `value ${i}`)
        .then(() => void answers.push(performance.now() - begun)),
    );
  }
  await Promise.all(writes);
  await sleep(1000);
  const used = nodes.cpu() - cpu;
  for (const stream of streams) stream.destroy();
  if (events !== total * watchers) throw new Error(`${events} events came and ${total * watchers} were to be expected`);
  return {
    watchers,
    'writes/s': rate,
    'events/s': Math.round(events / seconds),
    'answer p50 ms': milliseconds(percentile(answers, 0.5)),
    'event p50 ms': milliseconds(percentile(times, 0.5)),
    'event p99 ms': milliseconds(percentile(times, 0.99)),
    'CPU µs/event': (used / events).toFixed(1),
  };
}

function watch(url: string, told: (key: string) => void): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(`${url}/v1/watch/${BUCKET}`, { agent: false }, (message) => {
      let text = '';
      message.setEncoding('utf8');
      message.once('data', () => resolve(message));
      message.on('error', () => undefined);
      message.on('data', (part: string) => {
        text += part;
        const lines = text.split('\n');
        text = lines.pop()!;
        for (const line of lines) {
          if (line.startsWith('data: ')) told((JSON.parse(line.slice(6)) as { key: string }).key);
        }
      });
    }).on('error', reject);
  });
}
