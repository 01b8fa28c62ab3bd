/**
 * What three real processes tell of themselves while one of them dies: health, figures, and the lines of failed requests.
 */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { http, TestCluster, until } from './support.ts';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start(3, ['--slow-request', '60s', '--disk-free-warning', '1048576GiB']);
});
afterAll(async () => cluster.stop());

interface Seen {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly checks: Readonly<
    Record<string, { readonly ok: boolean; readonly warning?: boolean; readonly detail: string }>
  >;
}

async function health(id: string, path: string): Promise<Seen> {
  const { status, body } = await http('GET', `${cluster.url(id)}${path}`);
  const parsed = JSON.parse(body.toString()) as { checks: { name: string; ok: boolean; detail: string }[] };
  return { status, body: { ...parsed }, checks: Object.fromEntries(parsed.checks.map((check) => [check.name, check])) };
}

async function figure(id: string, series: string): Promise<number> {
  const { body } = await http('GET', `${cluster.url(id)}/metrics`);
  const line = body
    .toString()
    .split('\n')
    .find((text) => text.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1));
}

function lines(id: string, event: string): readonly Record<string, unknown>[] {
  const whole = cluster.nodes.get(id)!.stdout().split('\n').slice(0, -1);
  return whole.map((line) => JSON.parse(line) as Record<string, unknown>).filter((line) => line['event'] === event);
}

test('a node that runs knows its space and its event loop; little space is only a warning', async () => {
  const { status, checks } = await health('n1', '/readyz');
  expect(status).toBe(200);
  expect(checks['disk-space']).toMatchObject({ ok: true, warning: true });
  expect(checks['disk-space']?.detail).toMatch(/^\d+ MiB free/);
  expect(checks['event-loop']).toMatchObject({ ok: true });
  expect(await figure('n1', 'quoral_disk_free_bytes')).toBeGreaterThan(0);
  expect(await figure('n1', 'quoral_event_loop_seconds_total{state="active"}')).toBeGreaterThan(0);
});

test('requests are counted by what became of them', async () => {
  const before = await figure('n1', 'quoral_writes_total{outcome="applied"}');
  await http('PUT', `${cluster.url('n1')}/v1/kv/b/k`, { body: 'v' });
  await http('GET', `${cluster.url('n1')}/v1/kv/b/k`);
  await http('GET', `${cluster.url('n1')}/v1/kv/b/absent`);
  expect((await figure('n1', 'quoral_writes_total{outcome="applied"}')) - before).toBe(1);
  expect(await figure('n1', 'quoral_reads_total{outcome="value"}')).toBe(1);
  expect(await figure('n1', 'quoral_reads_total{outcome="absent"}')).toBe(1);
  expect(await figure('n1', 'quoral_http_problems_total{route="/v1/kv/:bucket/:key",code="not-found"}')).toBe(1);
  expect(await figure('n1', 'quoral_request_replicas_count{operation="write"}')).toBeGreaterThan(0);
  expect(await figure('n1', 'quoral_disk_commits_total')).toBeGreaterThan(0);
  expect(await figure('n1', 'quoral_disk_sync_seconds_count')).toBeGreaterThan(0);
});

test('two nodes die: the one that is left says so, and tells of each request that fails', async () => {
  await cluster.signal('n3', 'SIGKILL');
  await until('n3 is missed', async () => (await figure('n1', 'quoral_peers_reachable')) === 1);
  await until('it warns', async () => (await health('n1', '/readyz')).checks['peers']?.warning === true);
  expect((await health('n1', '/readyz')).status).toBe(200);
  expect(await health('n1', '/healthz')).toMatchObject({ status: 200, body: { ringWithQuorum: 1 } });

  await cluster.signal('n2', 'SIGKILL');
  await until('n2 is missed', async () => (await health('n1', '/healthz')).status === 503);
  const { body, checks } = await health('n1', '/healthz');
  expect([body['ringWithQuorum'], checks['quorum']?.detail]).toEqual([
    0,
    expect.stringMatching(/not reached: n2, n3$/),
  ]);
  expect(await figure('n1', 'quoral_ring_quorum_ratio')).toBe(0);

  const traceparent = `00-${TRACE_ID}-00f067aa0ba902b7-00`;
  const headers = { 'x-request-id': 'watched', traceparent };
  const answer = await http('GET', `${cluster.url('n1')}/v1/kv/b/private?r=3&sloppy=false&timeout=500`, { headers });
  expect(answer.status).toBeGreaterThanOrEqual(503);
  await until('the failure is logged', () => lines('n1', 'request-failed').length > 0);
  expect(lines('n1', 'request-failed')).toEqual([
    expect.objectContaining({
      level: 'warn',
      requestId: 'watched',
      method: 'GET',
      status: answer.status,
      traceId: TRACE_ID,
    }),
  ]);
  expect(cluster.nodes.get('n1')!.stdout()).not.toContain('private');
});

test('the last line of a node that is stopped arrives', async () => {
  expect(await cluster.signal('n1', 'SIGTERM')).toBe(0);
  await until('the last line is there', () => lines('n1', 'node-stopped').length === 1);
});
