/**
 * A request for a key that was read ahead of Node's parser (see server-short-way.ts): all of it is there, so nothing of it has to be
 * waited for, and its header fields are only made into texts when somebody asks for them.
 */

import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import type { Body, Incoming } from './exchange.ts';
import { Problem } from './problem.ts';
import { parseTarget, type Target } from './raw-path.ts';
import type { WholeRequest } from './whole-request.ts';

const SPACE = 0x20;
const TAB = 0x09;
/** `v1`, `kv` or `kv64`, bucket and key. */
const KEY_SEGMENTS = 4;

/** Names in lower case, each once; the value of each stands at two numbers in `places`, its first byte and the one behind it. */
interface Fields {
  readonly names: readonly string[];
  readonly places: readonly number[];
}

export class PlainRequest implements Incoming {
  readonly socket: Socket;
  readonly method: string;
  readonly target: Target;
  readonly complete = true;
  /** The connection ends with the answer. */
  isLast = false;
  readonly #bytes: Buffer;
  readonly #bodyAt: number;
  readonly #fields: Fields;

  /** Undefined when it has something that only the usual way knows to judge: a field given twice, no host, a target that is no key's. */
  static of(socket: Socket, bytes: Buffer, { method, url, head }: WholeRequest): PlainRequest | undefined {
    const target = parseTarget(url);
    if (target instanceof Problem || target.segments.length !== KEY_SEGMENTS) return undefined;
    const fields = readFields(head);
    if (fields === undefined || !fields.names.includes('host')) return undefined;
    return new PlainRequest(socket, method, target, bytes, head.length, fields);
  }

  private constructor(socket: Socket, method: string, target: Target, bytes: Buffer, bodyAt: number, fields: Fields) {
    this.socket = socket;
    this.method = method;
    this.target = target;
    this.#bytes = bytes;
    this.#bodyAt = bodyAt;
    this.#fields = fields;
  }

  /** A text of its own, which does not keep the whole head in memory. */
  header(name: string): string | undefined {
    const { names, places } = this.#fields;
    const at = names.indexOf(name);
    return at < 0 ? undefined : this.#bytes.toString('latin1', places[2 * at], places[2 * at + 1]);
  }

  fields(name: string): readonly string[] {
    const value = this.header(name);
    return value === undefined ? [] : [value];
  }

  headerNames(): Iterable<string> {
    return this.#fields.names;
  }

  get remote(): string {
    return this.socket.remoteAddress ?? 'closed';
  }

  /** Plain bytes: Node's own kind of them behaves differently when it is sliced. */
  readBody(limitBytes: number): Body {
    const { buffer, byteOffset, length } = this.#bytes;
    const size = length - this.#bodyAt;
    if (size > limitBytes) return { kind: 'too-large' };
    return { kind: 'body', bytes: new Uint8Array(buffer, byteOffset + this.#bodyAt, size) };
  }

  /** The body is there. */
  breakBody(): void {}
}

/** Undefined when one is given twice. */
function readFields(head: string): Fields | undefined {
  const names: string[] = [];
  const places: number[] = [];
  let start = head.indexOf('\r\n') + 2;
  for (let end = head.indexOf('\r\n', start); end > start; start = end + 2, end = head.indexOf('\r\n', start)) {
    const colon = head.indexOf(':', start);
    const name = head.slice(start, colon).toLowerCase();
    if (names.includes(name)) return undefined;
    let first = colon + 1;
    let behind = end;
    while (first < behind && isBlank(head.charCodeAt(first))) first += 1;
    while (first < behind && isBlank(head.charCodeAt(behind - 1))) behind -= 1;
    names.push(name);
    places.push(first, behind);
  }
  return { names, places };
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}
