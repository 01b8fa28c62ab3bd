/**
 * HTTP/1.1 over a bare socket, both ways: what is sent goes out byte for byte, and what comes back is read by the letter,
 * so that an answer with a wrong length or with something behind it is found.
 */

import { connect, type Socket } from 'node:net';
import { portOf, type Answer, type Name } from './site.ts';

export const CLOSE = 'Host: x\r\nConnection: close\r\n\r\n';

export type Chunk = string | Uint8Array;

/** Text stands for bytes: each character up to U+00FF is one. */
export function bytesOf(chunk: Chunk): Uint8Array {
  return typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk;
}

/** Sends the chunks, each in a write of its own, and gives all that comes back until the other end closes. */
export function bytesBack(port: number, chunks: readonly Chunk[], limitMs = 10_000): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const received: Buffer[] = [];
    socket.setTimeout(limitMs, () => socket.destroy(new Error(`open and silent for ${limitMs} ms`)));
    socket.on('data', (chunk) => received.push(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // An answer that came before the other end cut the connection still counts.
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    socket.on('close', () => resolve(Buffer.concat(received)));
    for (const chunk of chunks) socket.write(bytesOf(chunk));
  });
}

export interface RawAnswer extends Answer {
  readonly head: string;
}

/** What comes back for these bytes, as answers; `methods` says what was asked, because HEAD has no body. */
export async function raw(
  chunks: readonly Chunk[],
  { at = 'n1', methods = [] }: { readonly at?: Name; readonly methods?: readonly string[] } = {},
): Promise<readonly RawAnswer[]> {
  return parseAnswers(await bytesBack(portOf(at), chunks), methods);
}

/** The one answer to one request that closes its connection. */
export async function rawOne(chunks: readonly Chunk[], at: Name = 'n1', method = ''): Promise<RawAnswer> {
  const answers = await raw(chunks, { at, methods: [method] });
  const [only] = answers;
  if (answers.length !== 1 || only === undefined) throw new Error(`${answers.length} answers instead of one`);
  return only;
}

/** One request without a body to a target as it is. */
export function rawTarget(method: string, target: string, at: Name = 'n1'): Promise<RawAnswer> {
  return rawOne([`${method} ${target} HTTP/1.1\r\n`, CLOSE], at, method);
}

/** Reads a sequence of answers; throws when there is anything that does not belong to one. */
export function parseAnswers(bytes: Buffer, methods: readonly string[] = []): readonly RawAnswer[] {
  const answers: RawAnswer[] = [];
  let final = 0;
  for (let rest = bytes; rest.length > 0;) {
    const { answer, length } = parseAnswer(rest, methods[final] ?? '');
    answers.push(answer);
    if (answer.status >= 200) final += 1;
    rest = rest.subarray(length);
  }
  return answers;
}

function parseAnswer(bytes: Buffer, method: string): { readonly answer: RawAnswer; readonly length: number } {
  const end = bytes.indexOf('\r\n\r\n');
  const shown = (): string => JSON.stringify(bytes.subarray(0, 200).toString('latin1'));
  if (end === -1) throw new Error(`not a whole head: ${shown()}`);
  const head = bytes.subarray(0, end).toString('latin1');
  const [line = '', ...fields] = head.split('\r\n');
  const status = /^HTTP\/1\.1 ([1-5]\d\d) [\x20-\x7e]*$/.exec(line);
  if (status === null) throw new Error(`not a status line: ${shown()}`);
  const headers: Record<string, string> = {};
  for (const field of fields) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\x80-\xff\t]*)$/.exec(field);
    if (match === null) throw new Error(`not a header field: ${JSON.stringify(field)}`);
    const name = match[1]!.toLowerCase();
    if (name === 'content-length' && headers[name] !== undefined) throw new Error('two lengths');
    headers[name] = headers[name] === undefined ? match[2]! : `${headers[name]}, ${match[2]!}`;
  }
  const code = Number(status[1]);
  const { body, length } = bodyOf(bytes, end + 4, code, headers, method);
  return { answer: { status: code, head, headers, body }, length };
}

function bodyOf(
  bytes: Buffer,
  start: number,
  status: number,
  headers: Readonly<Record<string, string>>,
  method: string,
): { readonly body: Buffer; readonly length: number } {
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304)
    return { body: Buffer.alloc(0), length: start };
  if (headers['transfer-encoding'] !== undefined) return chunkedBody(bytes, start);
  const announced = headers['content-length'];
  if (announced === undefined) return { body: bytes.subarray(start), length: bytes.length };
  const length = Number(announced);
  if (bytes.length < start + length) throw new Error(`body of ${bytes.length - start} bytes instead of ${length}`);
  return { body: bytes.subarray(start, start + length), length: start + length };
}

function chunkedBody(bytes: Buffer, start: number): { readonly body: Buffer; readonly length: number } {
  const parts: Buffer[] = [];
  for (let at = start; ;) {
    const end = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.subarray(at, end).toString('latin1'), 16);
    if (end === -1 || Number.isNaN(size)) throw new Error('malformed chunk');
    parts.push(bytes.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
    if (size === 0) return { body: Buffer.concat(parts), length: at };
  }
}

/** A connection that stays open, for tests in which the order of bytes in both directions matters. */
export class OpenSocket {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #wake: () => void = () => undefined;

  constructor(at: Name = 'n1', port = portOf(at)) {
    this.#socket = connect({ port, host: '127.0.0.1' });
    this.#socket.setTimeout(10_000, () => this.#socket.destroy());
    this.#socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => this.#wake());
  }

  send(chunk: Chunk): void {
    this.#socket.write(bytesOf(chunk));
  }

  get received(): string {
    return this.#received.toString('latin1');
  }

  /** Waits until what has come matches. */
  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.received)) {
      if (this.#socket.destroyed) throw new Error(`closed after ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.received;
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
