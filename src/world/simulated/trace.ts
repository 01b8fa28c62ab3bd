/**
 * Keeps the spans of a simulation in one list, in the order of their ends. Every trace is sampled unless its parent says
 * otherwise; ids are numbers, so that equal runs give equal spans.
 */

import type { Span, SpanKind, Trace } from '#world/world.ts';

export interface FinishedSpan {
  /** Of the process that it belongs to. */
  readonly host: string;
  readonly name: string;
  readonly kind: SpanKind;
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined for the first span of a trace. */
  readonly parentId: string | undefined;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly failure: string | undefined;
}

const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})$/;

export class SimulatedTraces {
  readonly finished: FinishedSpan[] = [];
  /** Spans that have begun and not ended. */
  open = 0;
  #ids = 0;

  /** The port of one process. */
  of(host: string): Trace {
    return {
      on: true,
      begin: (name, kind, parent) => {
        const match = parent === undefined ? null : TRACEPARENT.exec(parent.traceparent);
        if (match === null || parent === undefined) return this.#begin(host, name, kind, this.#id(32), undefined, '');
        const sampled = Number.parseInt(match[3]!, 16) % 2 === 1;
        return sampled ? this.#begin(host, name, kind, match[1]!, match[2], parent.tracestate) : undefined;
      },
    };
  }

  #begin(
    host: string,
    name: string,
    kind: SpanKind,
    traceId: string,
    parentId: string | undefined,
    tracestate: string,
  ): Span {
    const spanId = this.#id(16);
    const attributes: Record<string, string | number | boolean> = {};
    this.open += 1;
    return {
      parent: { traceparent: `00-${traceId}-${spanId}-01`, tracestate },
      child: (childName, childKind) => this.#begin(host, childName, childKind, traceId, spanId, tracestate),
      set: (attribute, value) => void (attributes[attribute] = value),
      end: (failure) => {
        this.open -= 1;
        this.finished.push({ host, name, kind, traceId, spanId, parentId, attributes, failure });
      },
    };
  }

  #id(length: number): string {
    this.#ids += 1;
    return this.#ids.toString(16).padStart(length, '0');
  }
}
