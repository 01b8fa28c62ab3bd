import { InMemorySpanExporter } from '@opentelemetry/sdk-trace';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createMetrics } from '#world/real/metrics.ts';
import { createTrace } from '#world/real/trace.ts';
import { SimulatedTraces } from '#world/simulated/trace.ts';
import type { Trace } from '#world/world.ts';
import { silentLog } from './worlds.ts';

interface Seen {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly failure: string | undefined;
}

interface Traced {
  readonly trace: Trace;
  /** What has ended, in this order. */
  readonly finished: () => Promise<readonly Seen[]>;
}

function realTrace(): Traced {
  const exporter = new InMemorySpanExporter();
  const spans: Seen[] = [];
  const trace = createTrace({
    endpoint: 'http://nowhere.invalid/v1/traces',
    sample: 1,
    resource: {},
    log: silentLog,
    metrics: createMetrics(),
    queueMax: 100,
    batchDelay: 10,
    exporter: {
      export: (batch, done) => exporter.export(batch, done),
      shutdown: () => {
        for (const span of exporter.getFinishedSpans()) {
          const { name, attributes, parentSpanContext } = span;
          const { traceId, spanId } = span.spanContext();
          spans.push({
            ...{ name, traceId, spanId, attributes },
            ...{ parentId: parentSpanContext?.spanId, failure: span.status.message },
          });
        }
        return Promise.resolve();
      },
    },
  });
  const finished = async (): Promise<readonly Seen[]> => {
    await trace.stop(1000);
    return spans;
  };
  return { trace, finished };
}

function simulatedTrace(): Traced {
  const traces = new SimulatedTraces();
  return { trace: traces.of('n1'), finished: () => Promise.resolve(traces.finished) };
}

const WORLDS: readonly (readonly [string, () => Traced])[] = [
  ['real', realTrace],
  ['simulated', simulatedTrace],
];

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT_ID = '00f067aa0ba902b7';
const SAMPLED = { traceparent: `00-${TRACE_ID}-${PARENT_ID}-01`, tracestate: 'other=1' };

describe.each(WORLDS)('traces of the %s world', (_name, make) => {
  test('a span with a parent belongs to the parent’s trace, and so do its children', async () => {
    const { trace, finished } = make();
    const span = trace.begin('PUT /x', 'server', SAMPLED)!;
    const child = span.child('replica.store', 'client');
    child.set('acked', 2);
    expect(child.parent.traceparent).toMatch(new RegExp(`^00-${TRACE_ID}-[0-9a-f]{16}-01$`));
    expect(child.parent.tracestate).toBe('other=1');
    child.end('timeout');
    span.end();
    const [first, second] = await finished();
    expect(second).toMatchObject({ name: 'PUT /x', traceId: TRACE_ID, parentId: PARENT_ID, failure: undefined });
    expect(first).toMatchObject({ name: 'replica.store', traceId: TRACE_ID, parentId: second!.spanId });
    expect(first).toMatchObject({ attributes: { acked: 2 }, failure: 'timeout' });
  });

  test('a span travels: what another process begins under it is its child', async () => {
    const { trace, finished } = make();
    const here = trace.begin('call', 'client', undefined)!;
    const there = trace.begin('call', 'server', here.parent)!;
    there.end();
    here.end();
    const [second, first] = await finished();
    expect(first!.parentId).toBeUndefined();
    expect(second).toMatchObject({ traceId: first!.traceId, parentId: first!.spanId });
  });

  test('what the parent does not sample is not traced', () => {
    const { trace } = make();
    expect(trace.begin('x', 'server', { ...SAMPLED, traceparent: `00-${TRACE_ID}-${PARENT_ID}-00` })).toBeUndefined();
  });

  test.each([
    ['nothing', ''],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${PARENT_ID}-01`],
    ['a span id of zeros', `00-${TRACE_ID}-${'0'.repeat(16)}-01`],
    ['version ff', `ff-${TRACE_ID}-${PARENT_ID}-01`],
    ['capitals', `00-${TRACE_ID.toUpperCase()}-${PARENT_ID}-01`],
    ['more than version 00 has', `00-${TRACE_ID}-${PARENT_ID}-01-more`],
    ['two headers', `00-${TRACE_ID}-${PARENT_ID}-01, 00-${TRACE_ID}-${PARENT_ID}-01`],
    ['too short', `00-${TRACE_ID}-${PARENT_ID.slice(1)}-01`],
  ])('a parent that is not valid is ignored: %s', async (_what, traceparent) => {
    const { trace, finished } = make();
    trace.begin('x', 'server', { traceparent, tracestate: 'other=1' })!.end();
    const [span] = await finished();
    expect(span!.parentId).toBeUndefined();
    expect(span!.traceId).not.toBe(TRACE_ID);
  });

  test('whatever a client sends as a parent, a span begins or does not, and what it hands on is valid', () => {
    const { trace } = make();
    const part = fc.oneof(fc.string(), fc.constantFrom(TRACE_ID, PARENT_ID, '00', '01', '-', 'ff', '=', ','));
    const text = fc.oneof(
      fc.array(part).map((parts) => parts.join('')),
      fc.constant(`00-${TRACE_ID}-${PARENT_ID}-01`),
      fc.constant(`cc-${TRACE_ID}-${PARENT_ID}-ff-what-comes-later`),
    );
    fc.assert(
      fc.property(text, text, (traceparent, tracestate) => {
        const span = trace.begin('x', 'server', { traceparent, tracestate });
        if (span !== undefined) expect(span.parent.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/);
        span?.end();
      }),
    );
  });
});
