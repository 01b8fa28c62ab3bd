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

  test('a total is read when rendered', async () => {
    const metrics = make();
    let seconds = 1;
    metrics.total('active_seconds_total', 'Time.', () => seconds, { state: 'a' });
    seconds = 5;
    for (let i = 0; i < 2; i++) {
      expect((await metrics.render()).split('\n')).toContain('active_seconds_total{state="a"} 5');
    }
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

  test('a name has one set of labels', () => {
    const metrics = make();
    metrics.gauge('members', 'Members.', () => 1, { state: 'active' });
    expect(() => metrics.gauge('members', 'Members.', () => 1, { standing: 'alive' })).toThrow(/metric members /);
  });

  test('a histogram counts its observations', async () => {
    const metrics = make();
    for (const value of [1, 5, 50]) metrics.histogram('took_ms', 'Time.', [2, 10], { op: 'put' }).observe(value);
    expect((await metrics.render()).split('\n')).toContain('took_ms_count{op="put"} 3');
  });
});

test('a histogram of the real world is rendered in buckets that include the lower ones', async () => {
  const metrics = createMetrics();
  metrics.histogram('took_seconds', 'Time.', [0.5, 1], { op: 'get' });
  const histogram = metrics.histogram('took_seconds', 'Time.', [0.5, 1], { op: 'put' });
  for (const value of [0.25, 0.5, 0.75, 1.5]) histogram.observe(value);
  expect(await metrics.render()).toBe(`# HELP took_seconds Time.
# TYPE took_seconds histogram
took_seconds_bucket{op="get",le="0.5"} 0
took_seconds_bucket{op="get",le="1"} 0
took_seconds_bucket{op="get",le="+Inf"} 0
took_seconds_sum{op="get"} 0
took_seconds_count{op="get"} 0
took_seconds_bucket{op="put",le="0.5"} 2
took_seconds_bucket{op="put",le="1"} 3
took_seconds_bucket{op="put",le="+Inf"} 4
took_seconds_sum{op="put"} 3
took_seconds_count{op="put"} 4
`);
});
