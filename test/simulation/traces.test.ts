/**
 * One request, one trace: the spans of a PUT and a GET at all replicas of a key, with the right parents.
 */

import { expect, test } from 'vitest';
import { SimulatedTraces, type FinishedSpan } from '#world/simulated/trace.ts';
import { SimulatedCluster } from './cluster.ts';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const CLIENT = '00f067aa0ba902b7';
const TRACED = { traceparent: `00-${TRACE_ID}-${CLIENT}-01`, tracestate: 'other=1' };

/** A span as a path of names from the client's own span down, each with its node. */
function path(span: FinishedSpan, spans: readonly FinishedSpan[]): string {
  const here = `${span.name}@${span.host}`;
  if (span.parentId === CLIENT) return here;
  const parent = spans.find(({ spanId }) => spanId === span.parentId);
  return `${parent === undefined ? '?' : path(parent, spans)} > ${here}`;
}

async function spansOf(
  nodes: number,
  run: (cluster: SimulatedCluster, traces: SimulatedTraces) => Promise<void>,
): Promise<readonly FinishedSpan[]> {
  const traces = new SimulatedTraces();
  const cluster = await SimulatedCluster.founded({ seed: 'traces', nodes, traces });
  traces.finished.length = 0;
  await run(cluster, traces);
  await cluster.simulation.run(() => traces.open === 0);
  return traces.finished;
}

async function put(cluster: SimulatedCluster, id: string, headers: Record<string, string> = TRACED): Promise<void> {
  const answer = await cluster.request(id, 'PUT', '/v1/kv/b/private-name', { headers, body: 'private value' });
  expect(answer.status).toBe(204);
  if ('traceparent' in headers)
    expect(answer.headers.get('server-timing')).toContain(`traceparent;desc="00-${TRACE_ID}-`);
}

const PUT = 'PUT /v1/kv/:bucket/:key@n1';
const commit = (above: string, host: string): readonly string[] =>
  ['commit.wait', 'commit.write', 'disk.sync'].map((step) => `${above} > ${step}@${host}`);
const stored = (owner: string): readonly string[] => {
  const call = `${PUT} > coordinator.put@n1 > replica.store@n1`;
  return [`${call} > replica.store@${owner}`, ...commit(`${call} > replica.store@${owner}`, owner)];
};

test('a PUT at an owner', async () => {
  const spans = await spansOf(3, (cluster) => put(cluster, 'n1'));
  const mint = `${PUT} > coordinator.put@n1 > replica.mint@n1`;
  const call = `${PUT} > coordinator.put@n1 > replica.store@n1`;
  expect(spans.map((span) => path(span, spans)).sort()).toEqual(
    [
      PUT,
      `${PUT} > coordinator.put@n1`,
      mint,
      ...commit(mint, 'n1'),
      call,
      call,
      ...stored('n2'),
      ...stored('n3'),
    ].sort(),
  );
  expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE_ID]));
  const whole = spans.find(({ name }) => name === 'coordinator.put');
  expect(whole).toMatchObject({ kind: 'internal', failure: undefined });
  expect(whole?.attributes).toMatchObject({ 'quoral.outcome': 'applied', 'quoral.replicas.needed': 2 });
  // Keys and values are the client's own business.
  expect(JSON.stringify(spans)).not.toContain('private');
});

test('a write at a node that does not own the key goes through its owner in the same trace', async () => {
  const spans = await spansOf(4, async (cluster) => {
    for (const id of ['n1', 'n2', 'n3', 'n4']) await put(cluster, id);
  });
  const forwarded = spans.find(({ name, kind }) => name === 'coordinator.write' && kind === 'server')!;
  expect(path(forwarded, spans)).toMatch(/^PUT \S+@(n\d) > coordinator\.write@\1 > coordinator\.write@n\d$/);
  const story = spans.find(({ name, parentId }) => name === 'coordinator.put' && parentId === forwarded.spanId);
  expect(story?.host).toBe(forwarded.host);
});

test('a GET asks its replicas in the same trace; one that fails says why', async () => {
  const spans = await spansOf(3, async (cluster, traces) => {
    await put(cluster, 'n1', {});
    await cluster.simulation.run(() => traces.open === 0);
    cluster.crash(cluster.machine('n2'));
    const answer = await cluster.request('n1', 'GET', '/v1/kv/b/private-name?r=3&timeout=300', { headers: TRACED });
    expect(answer.status).toBeGreaterThanOrEqual(503);
  });
  const traced = spans.filter(({ traceId }) => traceId === TRACE_ID);
  const paths = traced.map((span) => path(span, traced));
  const GET = 'GET /v1/kv/:bucket/:key@n1 > coordinator.get@n1';
  expect(paths).toContain(`${GET} > replica.fetch@n1`);
  expect(paths).toContain(`${GET} > replica.fetch@n1 > replica.fetch@n3`);
  expect(traced.find(({ name }) => name === 'coordinator.get')?.failure).toMatch(/quorum-/);
});

test('a PUT of a strong key: the votes of all owners, also through another node', async () => {
  const spans = await spansOf(4, async (cluster, traces) => {
    const body = JSON.stringify({ consistency: 'strong' });
    const headers = { 'content-type': 'application/json' };
    const defined = await cluster.request('n1', 'PUT', '/v1/buckets/strong', { headers, body });
    expect(defined.status).toBeLessThan(300);
    await cluster.simulation.run(() => traces.open === 0);
    traces.finished.length = 0;
    for (const id of ['n1', 'n2', 'n3', 'n4']) {
      const answer = await cluster.request(id, 'PUT', '/v1/kv/strong/k', { headers: TRACED, body: id });
      expect(answer.status).toBe(204);
    }
  });
  const paths = spans.map((span) => path(span, spans));
  expect(paths.filter((one) => !one.startsWith('PUT /v1/kv/:bucket/:key@'))).toEqual([]);
  // One of the four is no owner: three vote each time, and each makes its vote durable.
  expect(new Set(spans.filter(({ name }) => name === 'disk.sync').map(({ host }) => host)).size).toBe(3);
  const puts = spans.filter(({ name, parentId }) => name.startsWith('PUT ') && parentId === CLIENT);
  for (const { host } of puts) {
    const votes = paths.filter(
      (one) => one.startsWith(`PUT /v1/kv/:bucket/:key@${host} `) && / > disk\.sync@n\d$/.test(one),
    );
    expect(new Set(votes.map((one) => one.slice(-2))).size).toBeGreaterThanOrEqual(2);
  }
});

test('what the client does not want to be traced is not', async () => {
  const unsampled = { traceparent: `00-${TRACE_ID}-${CLIENT}-00` };
  const spans = await spansOf(3, async (cluster) => {
    await cluster.request('n1', 'PUT', '/v1/kv/b/k', { headers: unsampled, body: 'v' });
  });
  expect(spans).toEqual([]);
});
