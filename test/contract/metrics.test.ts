import { describe, expect, test } from 'vitest';
import { createMetrics } from '#world/real/metrics.ts';
import { SimulatedMetrics } from '#world/simulated/metrics.ts';
import type { Metrics } from '#world/world.ts';

const WORLDS: readonly (readonly [string, () => Metrics])[] = [
  ['real', () => createMetrics()],
  ['simulated', () => new SimulatedMetrics()],
];

describe.each(WORLDS)('metrics of the %s world', (_name, make) => {
  test('a counter is the same for the same name and labels, in whichever order', async () => {
    const metrics = make();
    metrics.counter('calls_total', 'Calls.', { kind: 'put', peer: 'n2' }).add();
    metrics.counter('calls_total', 'Calls.', { peer: 'n2', kind: 'put' }).add(2.5);
    metrics.counter('calls_total', 'Calls.', { kind: 'get', peer: 'n2' }).add(0);
    const lines = (await metrics.render()).split('\n');
    expect(lines).toContain('calls_total{kind="put",peer="n2"} 3.5');
    expect(lines).toContain('calls_total{kind="get",peer="n2"} 0');
    metrics.counter('calls_total', 'Calls.', { kind: 'put', peer: 'n2' }).add();
    expect(await metrics.render()).toContain('calls_total{kind="put",peer="n2"} 4.5');
  });

  test('a counter without labels', async () => {
    const metrics = make();
    metrics.counter('restarts_total', 'Restarts.').add();
    expect((await metrics.render()).split('\n')).toContain('restarts_total 1');
  });

  test('a gauge is read when rendered', async () => {
    const metrics = make();
    let depth = 1;
    metrics.gauge('queue_depth', 'Depth.', () => depth, { queue: 'a' });
    metrics.gauge('queue_depth', 'Depth.', () => 7, { queue: 'b' });
    depth = 5;
    const lines = (await metrics.render()).split('\n');
    expect(lines).toContain('queue_depth{queue="a"} 5');
    expect(lines).toContain('queue_depth{queue="b"} 7');
  });

  test('a histogram counts its observations', async () => {
    const metrics = make();
    for (const value of [1, 5, 50]) metrics.histogram('took_ms', 'Time.', [2, 10], { op: 'put' }).observe(value);
    expect((await metrics.render()).split('\n')).toContain('took_ms_count{op="put"} 3');
  });
});
