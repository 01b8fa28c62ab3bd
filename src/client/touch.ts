/** Letting a key live longer. */

import { utf8 } from '#kernel/bytes.ts';
import { happened, type Happened } from './answer.ts';
import { changeKey, type Shared } from './keys.ts';
import { queryOf, type TouchOptions } from './requests.ts';

export async function touchKey(shared: Shared, bucket: string, key: string, options: TouchOptions): Promise<Happened> {
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (options.ifMatch !== undefined) headers['if-match'] = `"${options.ifMatch}"`;
  const change = {
    method: 'POST',
    query: queryOf(options),
    headers,
    body: utf8('{"op":"touch"}'),
    expected: [204],
  } as const;
  const reply = await changeKey(shared, bucket, key, { ...change, repeatable: true }, options);
  return happened(reply.headers);
}
