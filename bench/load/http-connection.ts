/**
 * One keep-alive connection of a load generator, one request at a time. It knows just enough HTTP for the systems that are
 * measured, because the generator shares the machine with them: what it saves they have.
 */

import { connect, type Socket } from 'node:net';

export interface HttpAnswer {
  readonly status: number;
  readonly body: Buffer;
}

const END_OF_HEAD = '\r\n\r\n';
const END_OF_CHUNKS = Buffer.from('\r\n0\r\n\r\n');

export class HttpConnection {
  readonly #host: string;
  readonly #port: number;
  #socket: Socket | undefined;
  #received: Buffer[] = [];
  /** Bytes of the answer once its head is known; undefined for chunks. */
  #expected: number | undefined;
  #head: { readonly status: number; readonly length: number } | undefined;
  #resolve: (answer: HttpAnswer) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#host = hostname;
    this.#port = Number(port);
  }

  /** Rejects when the connection breaks; the next request opens another. */
  async request(method: string, path: string, headers: string, body?: Uint8Array): Promise<HttpAnswer> {
    this.#socket ??= await this.#open();
    const socket = this.#socket;
    const length = body === undefined ? '' : `Content-Length: ${body.length}\r\n`;
    const head = Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: ${this.#host}\r\n${headers}${length}\r\n`, 'latin1');
    return await new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      socket.write(body === undefined ? head : Buffer.concat([head, body]));
    });
  }

  close(): void {
    this.#socket?.destroy();
  }

  async #open(): Promise<Socket> {
    const socket = connect({ host: this.#host, port: this.#port, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.on('data', (chunk) => this.#data(chunk));
    socket.on('error', (error) => this.#broken(error));
    socket.on('close', () => this.#broken(new Error('the connection was closed')));
    return socket;
  }

  #broken(error: Error): void {
    this.#socket = undefined;
    this.#received = [];
    this.#head = undefined;
    this.#reject(error);
  }

  #data(chunk: Buffer): void {
    this.#received.push(chunk);
    let all = this.#received.length === 1 ? chunk : undefined;
    if (this.#head === undefined) {
      all ??= Buffer.concat(this.#received);
      const end = all.indexOf(END_OF_HEAD, 0, 'latin1');
      if (end < 0) return;
      this.#readHead(all.toString('latin1', 0, end), end + END_OF_HEAD.length);
    }
    const size = this.#received.reduce((sum, { length }) => sum + length, 0);
    if (this.#expected !== undefined && size < this.#expected) return;
    all ??= Buffer.concat(this.#received);
    if (this.#expected === undefined && !all.subarray(-END_OF_CHUNKS.length).equals(END_OF_CHUNKS)) return;
    const { status, length } = this.#head!;
    this.#received = [];
    this.#head = undefined;
    this.#resolve({ status, body: all.subarray(length) });
  }

  #readHead(text: string, length: number): void {
    const status = Number(text.slice(9, 12));
    this.#head = { status, length };
    if (/transfer-encoding: chunked/i.test(text)) this.#expected = undefined;
    else this.#expected = length + Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
  }
}
