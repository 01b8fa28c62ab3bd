import { describe, expect, test } from 'vitest';
import { DEFAULT_API_SETTINGS, type ApiSettings } from '#api/services.ts';
import { utf8 } from '#kernel/bytes.ts';
import { agreed, type StubNode } from './stub-services.ts';
import { harness, type Harness } from './client.ts';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const FAILED = {
  kind: 'failed',
  trouble: 'quorum-unavailable',
  detail: 'nobody is there',
  agreement: agreed(0),
} as const;

function withSettings(settings: Partial<ApiSettings>, prepare: (node: StubNode) => void = () => undefined): Harness {
  return harness((node) => {
    node.settings = { ...DEFAULT_API_SETTINGS, ...settings };
    prepare(node);
  });
}

function failing(node: StubNode): void {
  node.read = () => Promise.resolve(FAILED);
}

describe('the access log', () => {
  test('by default a request that is answered well leaves no line', async () => {
    const { node, send } = withSettings({}, (stub) => void (stub.healthy = false));
    await send('PUT', '/v1/kv/b/k', {}, utf8('v'));
    await send('GET', '/v1/kv/b/absent');
    await send('GET', '/v1/nowhere');
    await send('POST', '/v1/batch');
    await send('GET', '/healthz');
    expect(node.logged).toEqual([]);
  });

  test('one that fails leaves one, with what finds it again and without the key', async () => {
    const { node, send } = withSettings({}, failing);
    const traceparent = `00-${TRACE_ID}-00f067aa0ba902b7-00`;
    await send('GET', '/v1/kv/b/private', { 'X-Request-Id': 'r1', traceparent });
    expect(node.logged).toEqual([
      {
        event: 'request-failed',
        fields: {
          ...{ requestId: 'r1', method: 'GET', route: '/v1/kv/:bucket/:key', status: 503 },
          ...{ problem: 'quorum-unavailable', reason: 'nobody is there' },
          ...{ durationMs: expect.any(Number) as number, traceId: TRACE_ID },
        },
      },
    ]);
  });

  test('keys stand there if they are wanted', async () => {
    const { node, send } = withSettings({ accessLogKeys: true }, failing);
    await send('GET', '/v1/kv/b/a%2Fb?r=1');
    expect(node.logged[0]?.fields).toMatchObject({ path: '/v1/kv/b/a%2Fb' });
  });

  test('all means all, off means none but the slow ones', async () => {
    const all = withSettings({ accessLog: 'all' });
    await all.send('GET', '/v1/kv/b/absent');
    expect(all.node.logged).toMatchObject([
      { event: 'request-answered', fields: { status: 404, problem: 'not-found' } },
    ]);
    expect(all.node.logged[0]?.fields).not.toHaveProperty('reason');
    const off = withSettings({ accessLog: 'off' }, failing);
    await off.send('GET', '/v1/kv/b/k');
    expect(off.node.logged).toEqual([]);
    const slow = withSettings({ accessLog: 'off', slowRequestMs: 0 });
    await slow.send('GET', '/v1/kv/b/k');
    expect(slow.node.logged).toMatchObject([{ event: 'request-slow' }]);
  });

  test('an outage gets so many lines a second; the others are counted and told', async () => {
    let now = 0;
    const { node, send } = withSettings({ accessLogRate: 2 }, (stub) => {
      failing(stub);
      stub.clock = { wall: () => 0, monotonic: () => now, after: () => ({ cancel: () => undefined }) };
    });
    for (let i = 0; i < 5; i++) await send('GET', '/v1/kv/b/k');
    now = 1000;
    await send('GET', '/v1/kv/b/k');
    expect(node.logged.map(({ event, fields }) => [event, (fields as { count?: number }).count])).toEqual([
      ['request-failed', undefined],
      ['request-failed', undefined],
      ['requests-not-logged', 3],
      ['request-failed', undefined],
    ]);
  });
});
