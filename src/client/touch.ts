/** Letting a key live longer. */

import { utf8 } from '#kernel/bytes.ts';
import { happened, type Happened } from './answer.ts';
import { askAboutKey, idempotencyKeyFor, type Shared } from './keys.ts';
import { queryOf, type TouchOptions } from './requests.ts';

export async function touchKey(shared: Shared, bucket: string, key: string, options: TouchOptions): Promise<Happened> {
  const idempotencyKey = idempotencyKeyFor(shared, bucket, options);
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (idempotencyKey !== false) headers['idempotency-key'] = idempotencyKey;
  if (options.ifMatch !== undefined) headers['if-match'] = `"${options.ifMatch}"`;
  const reply = await askAboutKey(shared, bucket, key, {
    method: 'POST',
    query: queryOf(options),
    headers,
    body: utf8('{"op":"touch"}'),
    expected: [204],
    changes: true,
    repeatable: true,
    timeoutMs: options.timeout,
    tellsTimeout: options.timeout !== undefined,
    signal: options.signal,
  });
  return happened(reply.headers);
}
