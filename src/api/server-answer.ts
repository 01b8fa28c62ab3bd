/**
 * Writes an answer to a request for one key to the socket.
 */

import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { assert } from '#kernel/assert.ts';
import type { Answer } from './exchange.ts';

/**
 * A body up to this size leaves as text with a character for each byte: Node puts it behind the text of the head and writes both
 * at once, where bytes would be a write of two pieces, which costs more than this copy.
 */
const COPIED_BYTES = 4096;

/** Whether the body is so large that a client may take its time to read it. */
export function isLarge({ body }: Answer): boolean {
  return (typeof body === 'string' || body instanceof Uint8Array) && body.length > COPIED_BYTES;
}

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

/** What a value of a header field must not hold (RFC 9110 section 5.5): Node's own answers are held to the same. */
const FORBIDDEN = /[^\t\x20-\x7e\x80-\xff]/;

/**
 * Sends all of the answer to a request that Node's parser has not seen. `more`: header lines about time and connection. Throws
 * as {@link send} does.
 */
export function sendPlain(socket: Socket, { status, headers, body }: Answer, method: string, more: string): void {
  assert(body === null || typeof body === 'string' || body instanceof Uint8Array, 'no answer about a key is streamed');
  assert(body !== null || status === 204 || status === 304, 'an answer without a body has a status that says so');
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]!}\r\n`;
  for (const name in headers) {
    const value = headers[name]!;
    if (FORBIDDEN.test(value)) throw new TypeError(`the header ${name} has a character that is not allowed`);
    head += `${name}: ${value}\r\n`;
  }
  if (body === null) {
    socket.write(`${head}${more}\r\n`, 'latin1');
    return;
  }
  const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.length);
  head += `content-length: ${bytes.length}\r\n${more}\r\n`;
  if (method === 'HEAD') socket.write(head, 'latin1');
  else if (bytes.length > COPIED_BYTES) {
    socket.cork();
    socket.write(head, 'latin1');
    socket.write(bytes);
    socket.uncork();
  } else socket.write(head + bytes.toString('latin1'), 'latin1');
}
