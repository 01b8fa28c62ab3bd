/**
 * Writes an answer to a request for one key to the socket.
 */

import type { ServerResponse } from 'node:http';
import { assert } from '#kernel/assert.ts';
import type { Answer } from './exchange.ts';

/**
 * A body up to this size leaves as text with a character for each byte: Node puts it behind the text of the head and writes both
 * at once, where bytes would be a write of two pieces, which costs more than this copy.
 */
const COPIED_BYTES = 4096;

/** Sends all of the answer. Throws when a header field is one that HTTP does not allow; then nothing has been sent. */
export function send(response: ServerResponse, { status, headers, body }: Answer, method: string): void {
  assert(body === null || typeof body === 'string' || body instanceof Uint8Array, 'no answer about a key is streamed');
  const fields: string[] = [];
  for (const name in headers) fields.push(name, headers[name]!);
  if (body === null) {
    response.writeHead(status, fields);
    response.end();
    return;
  }
  const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.length);
  fields.push('content-length', String(bytes.length));
  response.writeHead(status, fields);
  if (method === 'HEAD') response.end();
  else if (bytes.length > COPIED_BYTES) response.end(bytes);
  else response.end(bytes.toString('latin1'), 'latin1');
}
