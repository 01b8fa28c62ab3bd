/**
 * A request for a key that was read ahead of Node's parser (see server-short-way.ts): all of it is there, so nothing of it has to be
 * waited for, and its header fields are only made into texts when somebody asks for them.
 */

import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import type { Body, BodyRoom, Incoming } from './exchange.ts';
import { Problem } from './problem.ts';
import { parseTarget, type Target } from './raw-path.ts';
import type { WholeRequest } from './whole-request.ts';

/** `v1`, `kv` or `kv64`, bucket and key. */
const KEY_SEGMENTS = 4;

export class PlainRequest implements Incoming {
  readonly socket: Socket;
  readonly method: string;
  readonly target: Target;
  readonly complete = true;
  /** The connection ends with the answer. */
  isLast = false;
  readonly #bytes: Buffer;
  readonly #whole: WholeRequest;

  /** Undefined when it has something that only the usual way knows to judge: a field given twice, no host, a target that is no key's. */
  static of(socket: Socket, bytes: Buffer, whole: WholeRequest): PlainRequest | undefined {
    const target = parseTarget(whole.url);
    if (target instanceof Problem || target.segments.length !== KEY_SEGMENTS) return undefined;
    if (!whole.fields.isPlain) return undefined;
    return new PlainRequest(socket, bytes, whole, target);
  }

  private constructor(socket: Socket, bytes: Buffer, whole: WholeRequest, target: Target) {
    this.socket = socket;
    this.method = whole.method;
    this.target = target;
    this.#bytes = bytes;
    this.#whole = whole;
  }

  /** A text of its own, which does not keep the whole head in memory. */
  header(name: string): string | undefined {
    const { line, fields } = this.#whole;
    const at = fields.names.indexOf(name);
    if (at < 0) return undefined;
    return this.#bytes.toString('latin1', line + fields.places[2 * at]!, line + fields.places[2 * at + 1]!);
  }

  fields(name: string): readonly string[] {
    const value = this.header(name);
    return value === undefined ? [] : [value];
  }

  headerNames(): Iterable<string> {
    return this.#whole.fields.names;
  }

  get remote(): string {
    return this.socket.remoteAddress ?? 'closed';
  }

  /** Plain bytes: Node's own kind of them behaves differently when it is sliced. */
  readBody(limitBytes: number, _deadline: number, room: BodyRoom): Body {
    const { buffer, byteOffset, length } = this.#bytes;
    const start = this.#whole.head.length;
    const size = length - start;
    if (size > limitBytes) return { kind: 'too-large' };
    if (!room.reserve(size)) return { kind: 'crowded' };
    return { kind: 'body', bytes: new Uint8Array(buffer, byteOffset + start, size) };
  }

  /** The body is there. */
  breakBody(): void {}
}
