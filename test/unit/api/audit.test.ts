import { expect, test } from 'vitest';
import { UNGUARDED } from '#access/access.ts';
import { Audit, type Visit } from '#api/audit.ts';
import type { Answer } from '#api/exchange.ts';
import { identify, type Stranger } from '#api/identify.ts';
import { Problem, problemAnswer } from '#api/problem.ts';
import type { Fields } from '#api/services.ts';
import { createMetrics } from '#world/real/metrics.ts';
import { harness } from './client.ts';
import { BOOTSTRAP_TOKEN, StubNode } from './stub-services.ts';

/** An audit log on a clock that stands still until it is told to go on. */
function setup(auditRefusalsMax = 3) {
  const lines: Fields[] = [];
  const timers: { at: number; callback: () => void }[] = [];
  const state = { now: 0 };
  const node = new StubNode();
  node.guarded = true;
  const services = {
    ...node.services(),
    settings: { ...node.settings, auditRefusalsMax },
    metrics: createMetrics(),
    audit: (fields: Fields) => void lines.push(fields),
    clock: {
      wall: () => 0,
      monotonic: () => state.now,
      after: (delay: number, callback: () => void) => {
        timers.push({ at: state.now + delay, callback });
        return { cancel: () => undefined };
      },
    },
  };
  const incoming: Visit['incoming'] = {
    method: 'PUT',
    target: { path: '/v1/buckets/b', segments: ['v1', 'buckets', 'b'], query: '' },
    remote: '10.1.2.3',
    header: () => undefined,
    fields: () => [],
    headerNames: () => [],
    readBody: async () => ({ kind: 'broken' }),
  };
  const stranger = identify(incoming, 'admin', services.guard) as Stranger;
  const visit: Visit = { incoming, route: '/v1/buckets/:bucket', need: 'admin', requestId: 'r1', client: stranger };
  const audit = new Audit(services);
  const advance = (to: number): void => {
    state.now = to;
    for (const timer of timers.splice(0)) if (timer.at <= to) timer.callback();
  };
  return { audit, visit, stranger, lines, timers, advance, metrics: services.metrics };
}

const ok: Answer = { status: 200, headers: {}, body: null };

test('a refusal says who, from where, what and why', () => {
  const { audit, visit, stranger, lines } = setup();
  audit.answered(visit, stranger.answer());
  const act = { requestId: 'r1', remote: '10.1.2.3', act: 'PUT /v1/buckets/:bucket', target: '/v1/buckets/b' };
  expect(lines).toEqual([{ ...act, token: null, outcome: 'refused', reason: 'no-token' }]);
});

test('a path as long as a head can be does not fill the log', () => {
  const { audit, visit, stranger, lines } = setup();
  const target = { path: `/${'x'.repeat(30_000)}`, segments: [], query: '' };
  audit.answered({ ...visit, incoming: { ...visit.incoming, target } }, stranger.answer());
  expect(JSON.stringify(lines).length).toBeLessThan(500);
});

test('no key is in it, whatever the path', async () => {
  const { node, send } = harness((stub) => (stub.guarded = true));
  const paths = [
    '/v1/kv/b/private',
    '/v1/kv64/b/private',
    '/v1/ring/locate/b/private',
    '/v1/kv/b/a/private',
    '/private',
  ];
  for (const path of paths) await send('GET', path);
  await send('GET', '/v1/kv/b');
  expect(node.audited.map(({ target }) => target)).toEqual([
    ...['/v1/kv/b/…', '/v1/kv64/b/…', '/v1/ring/locate/b/…', '/v1/kv/…', '/private', '/v1/kv/b'],
  ]);
});

test('refusals beyond the bound are counted and told in one line, and every one in the figures', async () => {
  const { audit, visit, stranger, lines, timers, advance, metrics } = setup();
  for (let i = 0; i < 1000; i++) audit.answered(visit, stranger.answer());
  expect([lines.length, timers.length]).toEqual([3, 1]);
  advance(10_000);
  expect(lines.slice(3)).toEqual([{ outcome: 'refused', leftOut: 997 }]);
  for (let i = 0; i < 5; i++) audit.answered(visit, stranger.answer());
  advance(20_000);
  expect(lines).toHaveLength(3 + 1 + 3 + 1);
  expect(await metrics.render()).toContain('quoral_http_refusals_total{reason="no-token"} 1005');
});

test('a bound of none keeps none and counts all', () => {
  const { audit, visit, stranger, lines, advance } = setup(0);
  audit.answered(visit, stranger.answer());
  audit.answered(visit, stranger.answer());
  advance(10_000);
  expect(lines).toEqual([{ outcome: 'refused', leftOut: 2 }]);
});

test('what became of an act', () => {
  const { audit, visit, lines } = setup();
  const act = { ...visit, client: UNGUARDED };
  const outcomes = [
    ok,
    problemAnswer(new Problem('conflict', 'x')),
    problemAnswer(new Problem('quorum-unavailable', 'x', { outcome: 'not-applied' })),
    problemAnswer(new Problem('quorum-unavailable', 'x', { outcome: 'unknown' })),
    problemAnswer(new Problem('internal-error', 'x')),
  ].map((answer) => {
    audit.answered(act, answer);
    return lines.at(-1)?.['outcome'];
  });
  expect(outcomes).toEqual(['applied', 'not-applied', 'not-applied', 'unknown', 'unknown']);
});

test('reading is no act, and neither is writing keys', () => {
  const { audit, visit, lines } = setup();
  audit.answered({ ...visit, client: UNGUARDED, incoming: { ...visit.incoming, method: 'GET' } }, ok);
  audit.answered({ ...visit, client: UNGUARDED, need: 'write' }, ok);
  expect(lines).toEqual([]);
});

test('through the front door: acts are kept where tokens are not asked for too', async () => {
  const { node, send } = harness();
  await send(
    'PUT',
    '/v1/buckets/b',
    { 'Content-Type': 'application/json', 'X-Request-Id': 'mine' },
    new Uint8Array([123, 125]),
  );
  expect(node.audited).toEqual([
    {
      requestId: 'mine',
      token: null,
      remote: 'in-process',
      act: 'PUT /v1/buckets/:bucket',
      target: '/v1/buckets/b',
      status: 200,
      outcome: 'applied',
    },
  ]);
});

test('through the front door: nothing of a token is kept but its name', async () => {
  const { node, send } = harness((stub) => (stub.guarded = true));
  const body = new TextEncoder().encode('{"name":"app","scopes":["read"]}');
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${BOOTSTRAP_TOKEN}` };
  const made = await send('POST', '/v1/tokens', headers, body);
  expect(made.status).toBe(201);
  await send('GET', '/v1/kv/b/k', { Authorization: `Bearer ${BOOTSTRAP_TOKEN}x` });
  expect(node.audited.map(({ token, target }) => [token, target])).toEqual([
    ['bootstrap', '/v1/tokens/app'],
    [null, '/v1/kv/b/…'],
  ]);
  const { token } = JSON.parse(new TextDecoder().decode(made.body)) as { token: string };
  const told = JSON.stringify([node.audited, node.logged, node.chain.current]);
  expect(told).not.toContain(BOOTSTRAP_TOKEN);
  expect(told).not.toContain(token.slice(-43));
});
