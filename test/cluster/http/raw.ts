/** Bare sockets to the nodes of the suite's cluster. */

import { connect, type Socket } from 'node:net';
import { bytesBack, bytesOf, parseAnswers, type Chunk, type RawAnswer } from '../../raw-http.ts';
import { portOf, type Name } from './site.ts';

export const CLOSE = 'Host: x\r\nConnection: close\r\n\r\n';

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

/** A connection that stays open, for tests in which the order of bytes in both directions matters. */
export class OpenSocket {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #wake: () => void = () => undefined;

  constructor(at: Name = 'n1', port = portOf(at)) {
    this.#socket = connect({ port, host: '127.0.0.1' });
    this.#socket.setTimeout(60_000, () => this.#socket.destroy());
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
