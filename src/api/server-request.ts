/**
 * A request as it comes from Node's HTTP parser. Reading the body from Node's own stream costs much less than through a
 * web request.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Body, Incoming } from './exchange.ts';
import { parseTarget } from './raw-path.ts';
import type { Arrival, Arrivals } from './server-arrivals.ts';

export class SocketRequest implements Incoming {
  readonly target: Incoming['target'];
  readonly #message: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #arrivals: Arrivals;
  /** The client waits for a word before it sends the body. */
  readonly #expectsContinue: boolean;
  #broken = false;
  #fail: (() => void) | undefined;

  constructor(message: IncomingMessage, response: ServerResponse, arrivals: Arrivals, expectsContinue: boolean) {
    this.target = parseTarget(message.url ?? '');
    this.#message = message;
    this.#response = response;
    this.#arrivals = arrivals;
    this.#expectsContinue = expectsContinue;
  }

  get method(): string {
    return this.#message.method ?? '';
  }

  header(name: string): string | undefined {
    const value = this.#message.headers[name];
    return typeof value === 'string' ? value : value?.join(', ');
  }

  /** Node keeps only the first of the fields that HTTP allows once; what the client sent stands in the raw list. */
  fields(name: string): readonly string[] {
    const { rawHeaders } = this.#message;
    const values: string[] = [];
    for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
      const given = rawHeaders[i]!;
      if (given.length === name.length && given.toLowerCase() === name) values.push(rawHeaders[i + 1]!);
    }
    return values;
  }

  get remote(): string {
    return this.#message.socket.remoteAddress ?? 'closed';
  }

  headerNames(): Iterable<string> {
    return Object.keys(this.#message.headers);
  }

  /** Whether the parser has seen the end of the body. */
  get complete(): boolean {
    return this.#message.complete;
  }

  /** The body will never be complete: whoever reads it learns that now. */
  breakBody(): void {
    this.#broken = true;
    this.#fail?.();
  }

  /**
   * A client that has said that the connection ends with this request sends all of it before it looks for an answer, and a
   * connection that is closed before would be all that it sees.
   */
  letBodyPass(deadline: number): Promise<void> {
    const message = this.#message;
    const ends = this.header('connection')?.toLowerCase() === 'close';
    if (!ends || this.#broken || this.#expectsContinue || message.complete) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = (): void => {
        this.#arrivals.end(arrival);
        message.off('end', settle).off('close', settle);
        resolve();
      };
      const arrival: Arrival = { deadline, late: settle };
      this.#arrivals.begin(arrival);
      this.#fail = settle;
      message.on('end', settle).on('close', settle).resume();
    });
  }

  readBody(limitBytes: number, deadline: number): Promise<Body> {
    const message = this.#message;
    if (this.#broken) return Promise.resolve({ kind: 'broken' });
    if (this.#expectsContinue) this.#response.writeContinue();
    return new Promise((resolve) => {
      const chunks: Uint8Array[] = [];
      let length = 0;
      const settle = (body: Body): void => {
        this.#arrivals.end(arrival);
        message.off('data', onData).off('end', onEnd).off('close', onBroken);
        // What still comes of an unwanted body must go by, or the connection stalls.
        if (body.kind !== 'body') message.resume();
        resolve(body);
      };
      const onData = (chunk: Uint8Array): void => {
        length += chunk.length;
        if (length > limitBytes) settle({ kind: 'too-large' });
        else chunks.push(chunk);
      };
      const onEnd = (): void => settle({ kind: 'body', bytes: joined(chunks, length) });
      const onBroken = (): void => settle({ kind: 'broken' });
      const arrival: Arrival = { deadline, late: () => settle({ kind: 'late' }) };
      this.#arrivals.begin(arrival);
      this.#fail = onBroken;
      message.on('data', onData).on('end', onEnd).on('close', onBroken);
    });
  }
}

/** Fields that mean one thing: of two, Node's parser would drop one in silence, and a client may mean the other. */
const SINGULAR: ReadonlySet<string> = new Set([
  'authorization',
  'content-range',
  'content-type',
  'host',
  'idempotency-key',
  'quoral-context',
  'traceparent',
  'x-request-id',
]);

/** The first of those fields that is given twice. */
export function repeatedField({ headers, rawHeaders }: IncomingMessage): string | undefined {
  if (rawHeaders.length === 2 * Object.keys(headers).length) return undefined;
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (SINGULAR.has(name) && seen.has(name)) return name;
    seen.add(name);
  }
  return undefined;
}

/** Plain byte arrays: Node's own kind of them behaves differently when it is sliced. */
function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const [first] = chunks;
  if (first !== undefined && chunks.length === 1) return new Uint8Array(first.buffer, first.byteOffset, length);
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}
