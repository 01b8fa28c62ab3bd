/**
 * The span of a client's request: named by its route, never by its key, and hung under the `traceparent` that came with it.
 */

import type { Span, Trace } from '#world/world.ts';
import type { Answer, Incoming } from './exchange.ts';
import { KNOWN_METHODS } from './request-figures.ts';

/** Undefined when the request is not traced; costs nothing then. */
export function beginRequestSpan(trace: Trace, incoming: Incoming, route: string, requestId: string): Span | undefined {
  if (!trace.on) return undefined;
  const traceparent = incoming.header('traceparent');
  const parent =
    traceparent === undefined ? undefined : { traceparent, tracestate: incoming.header('tracestate') ?? '' };
  const method = KNOWN_METHODS.has(incoming.method) ? incoming.method : 'other';
  const span = trace.begin(`${method} ${route}`, 'server', parent);
  span?.set('http.request.method', method);
  span?.set('http.route', route);
  span?.set('quoral.request_id', requestId);
  return span;
}

/** Tells the client under which name the request is found among the traces. */
export function endRequestSpan(span: Span, { status, headers }: Answer): void {
  headers['server-timing'] += `, traceparent;desc="${span.parent.traceparent}"`;
  span.set('http.response.status_code', status);
  span.end(status >= 500 ? `status ${status}` : undefined);
}
