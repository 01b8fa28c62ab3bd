/**
 * Spans of three real processes at a collector of this test: one PUT, one trace. And a collector that never answers.
 */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, test } from 'vitest';
import { http, TestCluster, until } from './support.ts';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const CLIENT = '00f067aa0ba902b7';

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly traceState?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly node: string;
}

interface Export {
  readonly resourceSpans: readonly {
    readonly resource: {
      readonly attributes: readonly { readonly key: string; readonly value: { stringValue?: string } }[];
    };
    readonly scopeSpans: readonly { readonly spans: readonly Omit<Span, 'node'>[] }[];
  }[];
}

const servers: Server[] = [];
const clusters: TestCluster[] = [];

afterAll(async () => {
  for (const cluster of clusters) await cluster.stop();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

/** `answer` false: takes what comes and never says a word. */
async function collector(answer: boolean): Promise<{ readonly url: string; readonly spans: Span[] }> {
  const spans: Span[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (!answer) return;
      spans.push(...spansIn(JSON.parse(Buffer.concat(chunks).toString()) as Export));
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans };
}

function spansIn({ resourceSpans }: Export): readonly Span[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const node = resource.attributes.find(({ key }) => key === 'service.instance.id')?.value.stringValue ?? '?';
    return scopeSpans.flatMap((scope) => scope.spans.map((span) => ({ ...span, node })));
  });
}

async function started(flags: readonly string[]): Promise<TestCluster> {
  const cluster = await TestCluster.start(3, flags);
  clusters.push(cluster);
  return cluster;
}

test('one PUT gives one trace with the spans of all replicas', async () => {
  const { url, spans } = await collector(true);
  const cluster = await started(['--otlp-endpoint', url, '--trace-sample', '0', '--trace-batch-delay', '50ms']);
  const headers = { traceparent: `00-${TRACE_ID}-${CLIENT}-01`, tracestate: 'other=1' };
  const answer = await http('PUT', `${cluster.url('n1')}/v1/kv/b/k`, { headers, body: 'v' });
  expect(answer.status).toBe(204);
  expect(answer.headers['server-timing']).toContain(`traceparent;desc="00-${TRACE_ID}-`);
  // Its parent does not sample it, and chance does not either.
  await http('PUT', `${cluster.url('n1')}/v1/kv/b/k`, { body: 'v' });

  const synced = (): readonly Span[] => spans.filter(({ name }) => name === 'disk.sync');
  // Each node sends its spans when it likes: the trace is whole when no parent is missing.
  const isRooted = ({ parentSpanId }: Span): boolean =>
    parentSpanId === CLIENT || spans.some(({ spanId }) => spanId === parentSpanId);
  await until('the trace is whole', () => synced().length === 3 && spans.every(isRooted));
  expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE_ID]));
  const above = (span: Span): readonly string[] => {
    const parent = spans.find(({ spanId }) => spanId === span.parentSpanId);
    if (parent === undefined) expect(span.parentSpanId).toBe(CLIENT);
    return [...(parent === undefined ? [] : above(parent)), `${span.name}@${span.node}`];
  };
  const PUT = ['PUT /v1/kv/:bucket/:key@n1', 'coordinator.put@n1'];
  const other = (id: string): readonly string[] => [
    ...PUT,
    'replica.store@n1',
    `replica.store@${id}`,
    `disk.sync@${id}`,
  ];
  expect(new Set(synced().map((span) => above(span).join(' > ')))).toEqual(
    new Set([[...PUT, 'replica.mint@n1', 'disk.sync@n1'], other('n2'), other('n3')].map((steps) => steps.join(' > '))),
  );
  for (const span of spans) {
    expect(span.traceState).toBe('other=1');
    expect(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano)).toBe(true);
  }
});

test('a collector that never answers costs spans, no requests and no stop', async () => {
  const { url } = await collector(false);
  const flags = ['--trace-sample', '1', '--trace-queue-max', '20', '--trace-batch-delay', '20ms'];
  const cluster = await started(['--otlp-endpoint', url, ...flags, '--trace-stop-timeout', '300ms']);
  for (let i = 0; i < 60; i++) {
    const answer = await http('PUT', `${cluster.url('n1')}/v1/kv/b/k${i}`, { body: 'v' });
    expect(answer.status).toBe(204);
  }
  const { body } = await http('GET', `${cluster.url('n1')}/metrics`);
  const dropped = /^quoral_trace_spans_total\{outcome="dropped"\} (\d+)$/m.exec(body.toString())?.[1];
  expect(Number(dropped)).toBeGreaterThan(0);
  expect(Number(/^quoral_trace_spans_waiting (\d+)$/m.exec(body.toString())?.[1])).toBeLessThanOrEqual(20);
  expect(await cluster.signal('n1', 'SIGTERM')).toBe(0);
});
