/**
 * Whether some bytes are one request for a key from its first byte to its last, and what has to be known of it to turn it away or
 * to read it.
 *
 * Used ahead of the HTTP parser, so it must never find an end where the parser would not: it takes the plainest form that there is,
 * and leaves everything else to the parser. Nothing may stand in front or behind, line ends are CRLF, the names of fields are tokens
 * without a space before the colon, the length is given once in digits, and the body ends where the bytes end.
 */

import type { Buffer } from 'node:buffer';
import { REQUEST_ID_PATTERN } from './exchange.ts';

export const REQUEST_ID = new RegExp(REQUEST_ID_PATTERN);
/** A name or an address, and a port (RFC 9112 section 3.2); empty where there is none. */
export const HOST = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(:\d*)?$/;

export interface WholeRequest {
  readonly method: string;
  readonly url: string;
  /** Of the header fields, in lower case. */
  readonly names: readonly string[];
  /** Where in `head` the value of each stands, without blanks around it: two numbers each, its first character and the one behind it. */
  readonly places: readonly number[];
  readonly requestId: string | undefined;
  /** Whether it shows an idempotency key. */
  readonly isRepeatable: boolean;
  /** Everything before the body, a character for each byte. */
  readonly head: string;
}

/** Room for a session of the largest kind beside everything else; longer heads are rare, and none of this way's business. */
const HEAD_MAX_BYTES = 8192;
const END = '\r\n\r\n';
const SPACE = 0x20;
const TAB = 0x09;
const HEAD =
  /^(GET|HEAD|PUT|POST|DELETE) (\/v1\/kv(?:64)?\/[!-.0-~]+\/[!-~]+) HTTP\/1\.1\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)+\r\n$/;
const LENGTH = /^\d{1,9}$/;

export function wholeRequest(bytes: Buffer): WholeRequest | undefined {
  const start = bytes.length > HEAD_MAX_BYTES ? bytes.subarray(0, HEAD_MAX_BYTES) : bytes;
  const end = start.indexOf(END, 0, 'latin1');
  if (end < 0) return undefined;
  const head = bytes.toString('latin1', 0, end + END.length);
  const found = HEAD.exec(head);
  if (found === null) return undefined;
  const [, method = '', url = ''] = found;
  const fields = readFields(head);
  if (fields === undefined || end + END.length + (fields.bodyBytes ?? 0) !== bytes.length) return undefined;
  const { names, places, requestId, isRepeatable } = fields;
  return { method, url, names, places, requestId, isRepeatable, head };
}

interface Fields {
  readonly names: string[];
  readonly places: number[];
  /** Undefined when no length is given. */
  bodyBytes: number | undefined;
  requestId: string | undefined;
  isRepeatable: boolean;
}

/** Undefined when one of them says that there is more to this request or to its connection. */
function readFields(head: string): Fields | undefined {
  const fields: Fields = { names: [], places: [], bodyBytes: undefined, requestId: undefined, isRepeatable: false };
  let start = head.indexOf('\r\n') + 2;
  for (let end = head.indexOf('\r\n', start); end > start; start = end + 2, end = head.indexOf('\r\n', start)) {
    const colon = head.indexOf(':', start);
    const name = head.slice(start, colon).toLowerCase();
    let first = colon + 1;
    let behind = end;
    while (first < behind && isBlank(head.charCodeAt(first))) first += 1;
    while (first < behind && isBlank(head.charCodeAt(behind - 1))) behind -= 1;
    fields.names.push(name);
    fields.places.push(first, behind);
    // Node's parser does not take all lengths with blanks behind them.
    if (name === 'content-length' && behind < end) return undefined;
    // The lengths of the names that count are rare enough.
    if (NOTABLE.has(name.length) && !note(fields, name, head.slice(first, behind))) return undefined;
  }
  return fields;
}

/** As HTTP has it: other white space belongs to the value. */
function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** Whose names say where a body ends, what becomes of the connection, or what the answer has to hold. */
const NAMES = [
  ...['content-length', 'transfer-encoding', 'connection', 'proxy-connection', 'expect', 'upgrade'],
  ...['host', 'x-request-id', 'idempotency-key'],
];
const NOTABLE: ReadonlySet<number> = new Set(NAMES.map(({ length }) => length));

/** False when this way cannot go on. */
function note(fields: Fields, name: string, value: string): boolean {
  switch (name) {
    case 'content-length':
      if (fields.bodyBytes !== undefined || !LENGTH.test(value)) return false;
      fields.bodyBytes = Number(value);
      return true;
    case 'connection':
      return value.toLowerCase() === 'keep-alive';
    case 'x-request-id':
      if (fields.requestId !== undefined || !REQUEST_ID.test(value)) return false;
      fields.requestId = value;
      return true;
    case 'host':
      return HOST.test(value);
    case 'idempotency-key':
      fields.isRepeatable = true;
      return true;
    case 'transfer-encoding':
    case 'proxy-connection':
    case 'expect':
    case 'upgrade':
      return false;
    default:
      return true;
  }
}
