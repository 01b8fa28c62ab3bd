/**
 * Whether some bytes are one request for a key from its first byte to its last, and what has to be known of it to turn it away or
 * to read it.
 *
 * Used ahead of the HTTP parser, so it must never find an end where the parser would not: it takes the plainest form that there is,
 * and leaves everything else to the parser. Nothing may stand in front or behind, line ends are CRLF, the names of fields are tokens
 * without a space before the colon, the length is given once in digits, and the body ends where the bytes end.
 */

import { Buffer } from 'node:buffer';
import { REQUEST_ID_PATTERN } from './exchange.ts';

export const REQUEST_ID = new RegExp(REQUEST_ID_PATTERN);
/** A name or an address, and a port (RFC 9112 section 3.2); empty where there is none. */
export const HOST = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(:\d*)?$/;

export interface WholeRequest {
  readonly method: string;
  readonly url: string;
  /** Characters of the request line, its end included. */
  readonly line: number;
  readonly fields: Fields;
  /** Everything before the body, a character for each byte. */
  readonly head: string;
}

/** The header fields of a request. */
export interface Fields {
  /** In lower case. */
  readonly names: readonly string[];
  /**
   * Where the value of each stands behind the request line, without blanks around it: two numbers each, its first character and the
   * one behind it.
   */
  readonly places: readonly number[];
  /** Undefined when no length is given. */
  readonly bodyBytes: number | undefined;
  readonly requestId: string | undefined;
  /** Whether it shows an idempotency key. */
  readonly isRepeatable: boolean;
  /** Whether there is a host, and nothing twice. */
  readonly isPlain: boolean;
}

/** Room for a session of the largest kind beside everything else; longer heads are rare, and none of this way's business. */
const HEAD_MAX_BYTES = 8192;
const END = '\r\n\r\n';
const SPACE = 0x20;
const TAB = 0x09;
const LINE = /^(GET|HEAD|PUT|POST|DELETE) (\/v1\/kv(?:64)?\/[!-.0-~]+\/[!-~]+) HTTP\/1\.1\r\n/;
const FIELDS = /^(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)+\r\n$/;
const LENGTH = /^\d{1,9}$/;
/** Texts of fields that are remembered, and characters of one. */
export const SEEN_MAX = 64;
const SEEN_CHARACTERS = 1024;
/** Fields that most clients send the same of with each read. Others would push out what comes again. */
const STEADY: ReadonlySet<string> = new Set([
  ...['host', 'user-agent', 'accept', 'accept-encoding', 'accept-language', 'connection', 'authorization'],
  ...['cache-control', 'pragma', 'origin', 'sec-fetch-mode', 'sec-fetch-site', 'sec-fetch-dest'],
]);

/** Reads requests. What a client sends with each of its reads is nearly always the same, and is taken apart once. */
export class WholeRequests {
  #seen = new Map<string, Fields>();

  read(bytes: Buffer): WholeRequest | undefined {
    const start = bytes.length > HEAD_MAX_BYTES ? bytes.subarray(0, HEAD_MAX_BYTES) : bytes;
    const end = start.indexOf(END, 0, 'latin1');
    if (end < 0) return undefined;
    const head = bytes.toString('latin1', 0, end + END.length);
    const found = LINE.exec(head);
    if (found === null) return undefined;
    const [{ length: line }, method = '', url = ''] = found;
    const text = head.slice(line);
    const fields = method === 'GET' ? this.#fieldsOfRead(text) : fieldsIn(text);
    if (fields === undefined || head.length + (fields.bodyBytes ?? 0) !== bytes.length) return undefined;
    return { method, url, line, fields, head };
  }

  #fieldsOfRead(text: string): Fields | undefined {
    const known = this.#seen.get(text);
    if (known !== undefined) return known;
    const fields = fieldsIn(text);
    if (fields === undefined || text.length > SEEN_CHARACTERS || !fields.names.every((name) => STEADY.has(name)))
      return fields;
    if (this.#seen.size === SEEN_MAX) this.#seen = new Map();
    // A text of its own, which does not keep the rest of the head in memory.
    this.#seen.set(Buffer.from(text, 'latin1').toString('latin1'), fields);
    return fields;
  }
}

/** Undefined when they are not of the plainest form, or one of them says that there is more to this request or to its connection. */
function fieldsIn(text: string): Fields | undefined {
  if (!FIELDS.test(text)) return undefined;
  const names: string[] = [];
  const places: number[] = [];
  const notes: Notes = { bodyBytes: undefined, requestId: undefined, isRepeatable: false };
  let start = 0;
  for (let end = text.indexOf('\r\n'); end > start; start = end + 2, end = text.indexOf('\r\n', start)) {
    const colon = text.indexOf(':', start);
    const name = text.slice(start, colon).toLowerCase();
    let first = colon + 1;
    let behind = end;
    while (first < behind && isBlank(text.charCodeAt(first))) first += 1;
    while (first < behind && isBlank(text.charCodeAt(behind - 1))) behind -= 1;
    names.push(name);
    places.push(first, behind);
    // Node's parser does not take all lengths with blanks behind them.
    if (name === 'content-length' && behind < end) return undefined;
    // The lengths of the names that count are rare enough.
    if (NOTABLE.has(name.length) && !note(notes, name, text.slice(first, behind))) return undefined;
  }
  const isPlain = names.includes('host') && !names.some((name, at) => names.indexOf(name, at + 1) > 0);
  return { names, places, ...notes, isPlain };
}

interface Notes {
  bodyBytes: number | undefined;
  requestId: string | undefined;
  isRepeatable: boolean;
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
function note(notes: Notes, name: string, value: string): boolean {
  switch (name) {
    case 'content-length':
      if (notes.bodyBytes !== undefined || !LENGTH.test(value)) return false;
      notes.bodyBytes = Number(value);
      return true;
    case 'connection':
      return value.toLowerCase() === 'keep-alive';
    case 'x-request-id':
      if (notes.requestId !== undefined || !REQUEST_ID.test(value)) return false;
      notes.requestId = value;
      return true;
    case 'host':
      return HOST.test(value);
    case 'idempotency-key':
      notes.isRepeatable = true;
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
