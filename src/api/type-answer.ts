/**
 * A data type as an answer shows it: JSON with its type, its value and the context that covers it.
 */

import type { DataType } from '#causality/data-type.ts';
import { timeOf } from '#causality/hybrid-clock.ts';
import { valueOf } from '#causality/type-value.ts';
import { quotedEtag, type LiveVersion } from './content-headers.ts';
import type { Answer } from './exchange.ts';
import { httpDate } from './http-date.ts';
import { Problem, problemAnswer } from './problem.ts';

/** `headers` has the context, where there is one. */
export function typeAnswer(type: DataType, live: readonly LiveVersion[], headers: Record<string, string>): Answer {
  const shown = valueOf(type, live);
  if (shown === undefined)
    return problemAnswer(new Problem('not-found', `there is no ${type} under this key`), headers);
  const { value, concurrent, types } = shown;
  const context = headers['quoral-context'] ?? null;
  headers['etag'] = quotedEtag(live);
  const modifiedAt = timeOf(Math.max(...live.map(({ dot }) => dot.counter)));
  headers['last-modified'] = httpDate(modifiedAt);
  headers['content-type'] = 'application/json';
  headers['cache-control'] = 'no-store';
  headers['x-content-type-options'] = 'nosniff';
  const body = { type, value, context, ...(concurrent && { concurrent }), ...(types !== undefined && { types }) };
  return { status: 200, headers, body: `${JSON.stringify(body)}\n`, modifiedAt };
}
