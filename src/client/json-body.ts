/** A node's JSON; anything else is no node's answer. */

import { fromUtf8 } from '#kernel/bytes.ts';
import { QuoralError } from './errors.ts';

export function jsonBody<T>(body: Uint8Array | string): T {
  try {
    return JSON.parse(typeof body === 'string' ? body : fromUtf8(body)) as T;
  } catch (error) {
    throw new QuoralError('bad-answer', 'an answer that should be JSON is not', {}, error);
  }
}
