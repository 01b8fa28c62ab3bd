/**
 * Spans through the OpenTelemetry SDK, sent as OTLP over HTTP. Loaded only when an endpoint is configured.
 *
 * A collector that is slow or away costs spans, never requests: what has ended waits in a bounded queue, what finds it full
 * is dropped and counted, and the flush at the end waits no longer than it may.
 */

import {
  ROOT_CONTEXT,
  SpanKind as OtelKind,
  SpanStatusCode,
  trace as traces,
  type Span as OtelSpan,
} from '@opentelemetry/api';
import { ExportResultCode, parseTraceParent, TraceState, type ExportResult } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type ReadableSpan,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace';
import type { Counter, Log, Metrics, Span, SpanKind, Trace, TraceParent } from '#world/world.ts';

export interface RealTraceOptions {
  /** Where spans are posted, such as `http://localhost:4318/v1/traces`. */
  readonly endpoint: string;
  /** Share of the traces that begin here, 0 to 1; a trace that began elsewhere is sampled if its parent was. */
  readonly sample: number;
  /** Stand with every span: which service, version and node. */
  readonly resource: Readonly<Record<string, string>>;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Spans that wait to be sent; more are dropped. */
  readonly queueMax: number;
  /** Milliseconds between two batches, unless one is full before. */
  readonly batchDelay: number;
  /** In place of the exporter that posts to `endpoint`, for tests. */
  readonly exporter?: SpanExporter;
}

export interface RealTrace extends Trace {
  /** Sends what waits, for `patience` milliseconds at most. Never rejects. */
  stop(patience: number): Promise<void>;
}

/** Spans that are made into one message: what holds the event loop. */
const BATCH_MAX = 128;
const EXPORT_TIMEOUT_MS = 10_000;
/** A collector that stays away is worth a line a minute. */
const COMPLAINT_INTERVAL_MS = 60_000;

const KINDS: Readonly<Record<SpanKind, OtelKind>> = {
  server: OtelKind.SERVER,
  client: OtelKind.CLIENT,
  internal: OtelKind.INTERNAL,
};

export function createTrace(options: RealTraceOptions): RealTrace {
  const exporter =
    options.exporter ?? new OTLPTraceExporter({ url: options.endpoint, timeoutMillis: EXPORT_TIMEOUT_MS });
  const queue = new BoundedQueue(exporter, options);
  const provider = new TracerProvider({
    resource: resourceFromAttributes(options.resource),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.sample) }),
    spanProcessors: [queue],
  });
  const tracer = provider.getTracer('quoral');
  const begin = (name: string, kind: SpanKind, context: typeof ROOT_CONTEXT): OtelSpan =>
    tracer.startSpan(name, { kind: KINDS[kind] }, context);
  const wrap = (span: OtelSpan): Span => ({
    get parent() {
      return parentOf(span);
    },
    child: (name, kind) => wrap(begin(name, kind, traces.setSpan(ROOT_CONTEXT, span))),
    set: (attribute, value) => void span.setAttribute(attribute, value),
    end: (failure) => {
      if (failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: failure });
      span.end();
    },
  });
  return {
    on: true,
    begin(name, kind, parent) {
      const span = begin(name, kind, contextOf(parent));
      return span.isRecording() ? wrap(span) : undefined;
    },
    async stop(patience) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, patience)));
      await Promise.race([provider.shutdown().catch(() => undefined), late]);
      clearTimeout(timer);
    },
  };
}

/** A parent that is not valid is as good as none (W3C Trace Context, section 4.3). */
function contextOf(parent: TraceParent | undefined): typeof ROOT_CONTEXT {
  const spanContext = parent === undefined ? null : parseTraceParent(parent.traceparent);
  if (parent === undefined || spanContext === null) return ROOT_CONTEXT;
  return traces.setSpanContext(ROOT_CONTEXT, {
    ...spanContext,
    isRemote: true,
    ...(parent.tracestate === '' ? {} : { traceState: new TraceState(parent.tracestate) }),
  });
}

function parentOf(span: OtelSpan): TraceParent {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  const flags = traceFlags.toString(16).padStart(2, '0');
  return { traceparent: `00-${traceId}-${spanId}-${flags}`, tracestate: traceState?.serialize() ?? '' };
}

/** The SDK's batches, with the queue's overflow where we can count it and the exporter's failures where we can tell them. */
class BoundedQueue implements SpanProcessor {
  readonly #options: RealTraceOptions;
  readonly #batches: BatchSpanProcessor;
  readonly #sent: Counter;
  readonly #failed: Counter;
  readonly #dropped: Counter;
  #waiting = 0;
  #complainedAt = -Infinity;

  constructor(exporter: SpanExporter, options: RealTraceOptions) {
    const { metrics } = options;
    const counter = (outcome: string): Counter =>
      metrics.counter('quoral_trace_spans_total', 'Spans that have ended, by what became of them.', { outcome });
    this.#options = options;
    this.#sent = counter('sent');
    this.#failed = counter('failed');
    this.#dropped = counter('dropped');
    metrics.gauge('quoral_trace_spans_waiting', 'Spans that wait to be sent.', () => this.#waiting);
    this.#batches = new BatchSpanProcessor({
      exporter: {
        export: (spans, done) => exporter.export(spans, (result) => this.#exported(spans.length, result, done)),
        shutdown: () => exporter.shutdown(),
      },
      maxQueueSize: options.queueMax,
      maxExportBatchSize: Math.min(BATCH_MAX, options.queueMax),
      scheduledDelayMillis: options.batchDelay,
      exportTimeoutMillis: 2 * EXPORT_TIMEOUT_MS,
    });
  }

  onStart(): void {
    // A span counts when it has ended.
  }

  onEnd(span: ReadableSpan): void {
    if (this.#waiting >= this.#options.queueMax) {
      this.#dropped.add();
      return;
    }
    this.#waiting += 1;
    this.#batches.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#batches.shutdown();
  }

  #exported(count: number, result: ExportResult, done: (result: ExportResult) => void): void {
    this.#waiting -= count;
    if (result.code === ExportResultCode.SUCCESS) {
      this.#sent.add(count);
    } else {
      this.#failed.add(count);
      this.#complain(result.error?.message ?? 'no reason given');
    }
    // The SDK would complain of a failure in its own way, and try nothing else.
    done({ code: ExportResultCode.SUCCESS });
  }

  #complain(reason: string): void {
    const now = performance.now();
    if (now - this.#complainedAt < COMPLAINT_INTERVAL_MS) return;
    this.#complainedAt = now;
    this.#options.log.warn('trace-export-failed', { endpoint: this.#options.endpoint, reason });
  }
}
