/**
 * A request as it comes from Node's HTTP parser. Reading the body from Node's own stream costs much less than through a
 * web request.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { EMPTY_BYTES } from '#kernel/bytes.ts';
import { BodyParts } from './body-parts.ts';
import type { Body, BodyRoom, Incoming } from './exchange.ts';
import { invalid, Problem } from './problem.ts';
import { parseTarget, quoted } from './raw-path.ts';
import type { Arrivals } from './server-arrivals.ts';
import { HOST } from './whole-request.ts';

/** What the client waits for before it sends the body: for a word, or for what cannot be had. */
export type Expects = 'nothing' | 'continue' | 'the impossible';

export class SocketRequest implements Incoming {
  readonly target: Incoming['target'];
  /** Nothing that comes behind it can be relied on: the connection ends with its answer. */
  readonly isMistaken: boolean;
  readonly expects: Expects;
  readonly response: ServerResponse;
  readonly #message: IncomingMessage;
  readonly #arrivals: Arrivals;
  #broken = false;
  #fail: (() => void) | undefined;

  constructor(message: IncomingMessage, response: ServerResponse, arrivals: Arrivals, expects: Expects) {
    const mistake = mistakeIn(message, expects);
    this.target = mistake ?? parseTarget(message.url ?? '');
    this.isMistaken = mistake !== undefined;
    this.#message = message;
    this.response = response;
    this.#arrivals = arrivals;
    this.expects = expects;
  }

  get message(): IncomingMessage {
    return this.#message;
  }

  get socket(): Socket {
    return this.#message.socket;
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
    if (!ends || this.#broken || this.expects === 'continue' || message.complete) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = (): void => {
        this.#arrivals.end(arrival);
        message.off('end', settle).off('close', settle);
        resolve();
      };
      const arrival = this.#arrivals.begin({ deadline, late: settle });
      this.#fail = settle;
      message.on('end', settle).on('close', settle).resume();
    });
  }

  readBody(limitBytes: number, deadline: number, room: BodyRoom): Promise<Body> {
    const message = this.#message;
    if (this.#broken) return Promise.resolve({ kind: 'broken' });
    // A request without a body comes with its stream at the end already.
    if (message.readableEnded) return Promise.resolve({ kind: 'body', bytes: EMPTY_BYTES });
    if (this.expects === 'continue') this.response.writeContinue();
    return new Promise((resolve) => {
      const parts = new BodyParts();
      const settle = (body: Body): void => {
        this.#arrivals.end(arrival);
        message.off('data', onData).off('end', onEnd).off('close', onBroken);
        if (body.kind !== 'body') {
          room.release(parts.length);
          // What still comes of an unwanted body must go by, or the connection stalls.
          message.resume();
        }
        resolve(body);
      };
      const onData = (chunk: Uint8Array): void => {
        if (parts.length + chunk.length > limitBytes) settle({ kind: 'too-large' });
        else if (!room.reserve(chunk.length)) settle({ kind: 'crowded' });
        else parts.add(chunk);
      };
      const onEnd = (): void => settle({ kind: 'body', bytes: parts.joined() });
      const onBroken = (): void => settle({ kind: 'broken' });
      const arrival = this.#arrivals.begin({ deadline, late: () => settle({ kind: 'late' }) });
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
  'quoral-answered-below',
  'quoral-context',
  'traceparent',
  'x-request-id',
]);

/** What HTTP does not allow and Node's parser lets through. */
function mistakeIn(message: IncomingMessage, expects: Expects): Problem | undefined {
  const { headers, httpVersion, httpVersionMajor } = message;
  if (expects === 'the impossible') return unmet(headers.expect);
  if (httpVersion === '0.9') return invalid('request', 'not HTTP/1.1: the version is missing');
  if (httpVersionMajor !== 1) return invalid('request', `not HTTP/1.1: the version is ${httpVersion}`);
  if (httpVersion === '1.1' && headers.host === undefined) return invalid('Host', 'the header is missing');
  if (headers.host !== undefined && !HOST.test(headers.host)) return invalid('Host', 'is not a host name');
  const repeated = repeatedField(message);
  if (repeated !== undefined) return invalid(repeated, 'the header is given more than once');
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && httpVersion === '1.0') return invalid('Transfer-Encoding', 'HTTP/1.0 has none');
  if (coding === undefined || coding.toLowerCase() === 'chunked') return undefined;
  // Where such a body ends nobody knows (RFC 9112 section 6.3).
  if (!/,[ \t]*chunked$/i.test(coding)) return invalid('Transfer-Encoding', 'the last coding must be chunked');
  const detail = `Transfer-Encoding: only chunked is understood, and it is ${quoted(coding)}`;
  return new Problem('not-implemented', detail, { field: 'Transfer-Encoding' });
}

function unmet(expectation = ''): Problem {
  const detail = `Expect: ${quoted(expectation)} cannot be met; only 100-continue can`;
  return new Problem('expectation-failed', detail, { field: 'Expect' });
}

/** The first of those fields that is given twice. */
function repeatedField({ headers, rawHeaders }: IncomingMessage): string | undefined {
  if (rawHeaders.length === 2 * Object.keys(headers).length) return undefined;
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (SINGULAR.has(name) && seen.has(name)) return name;
    seen.add(name);
  }
  return undefined;
}

/** Behind the answer to what it sends a client may be silent for so long, and go on sending for so long, and so much. */
const DRAIN_SILENCE_MS = 2000;
const DRAIN_MS = 10_000;
const DRAIN_BYTES = 64 * 1024 * 1024;

/**
 * Reads on what is left of a body that nobody wants, so that its sender sees the answer, and cuts the connection if it takes too long.
 * What comes is taken as fast as this node finds time, and the sender may have sent its next request behind it, which a cut would lose:
 * so as long as something comes there is patience.
 */
export function drain(message: IncomingMessage): void {
  if (message.complete || message.destroyed) return;
  let bytes = 0;
  const cut = (): void => message.socket.destroySoon();
  const silence = setTimeout(cut, DRAIN_SILENCE_MS).unref();
  const whole = setTimeout(cut, DRAIN_MS).unref();
  message.on('data', (chunk: Uint8Array) => {
    bytes += chunk.length;
    if (bytes > DRAIN_BYTES) cut();
    else silence.refresh();
  });
  const end = (): void => {
    clearTimeout(silence);
    clearTimeout(whole);
  };
  message.on('close', end).resume();
}
