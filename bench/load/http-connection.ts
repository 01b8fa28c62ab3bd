/**
 * One keep-alive connection of a load generator, one request at a time. It knows just enough HTTP for the systems that are
 * measured, because the generator shares the machine with them: what it saves they have.
 */

import { connect, type Socket } from 'node:net';

export interface HttpAnswer {
  readonly status: number;
  readonly body: Buffer;
  /** Status line and header fields. */
  readonly head: string;
}

/** What arrives at any connection is put here by the socket and copied at once: a buffer of its own for each would cost more than to read it. */
const ARRIVED = Buffer.allocUnsafeSlow(65_536);

const END_OF_HEAD = '\r\n\r\n';
const END_OF_CHUNKS = Buffer.from('\r\n0\r\n\r\n');

export class HttpConnection {
  readonly #host: string;
  readonly #port: number;
  #socket: Socket | undefined;
  #received: Buffer[] = [];
  /** Bytes of the answer once its head is known; undefined for chunks. */
  #expected: number | undefined;
  #head: { readonly text: string; readonly length: number } | undefined;
  #resolve: (answer: HttpAnswer) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#host = hostname;
    this.#port = Number(port);
  }

  /** Rejects when the connection breaks; the next request opens another. */
  request(method: string, path: string, headers: string, body?: Uint8Array): Promise<HttpAnswer> {
    const socket = this.#socket;
    if (socket === undefined) return this.#open().then(() => this.request(method, path, headers, body));
    const length = body === undefined ? '' : `Content-Length: ${body.length}\r\n`;
    const head = `${method} ${path} HTTP/1.1\r\nHost: ${this.#host}\r\n${headers}${length}\r\n`;
    // One write, so one system call.
    const bytes = Buffer.allocUnsafe(head.length + (body?.length ?? 0));
    bytes.write(head, 'latin1');
    if (body !== undefined) bytes.set(body, head.length);
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      socket.write(bytes);
    });
  }

  close(): void {
    this.#socket?.destroy();
  }

  async #open(): Promise<void> {
    const callback = (length: number): boolean => {
      this.#data(Buffer.from(ARRIVED.subarray(0, length)));
      return true;
    };
    const onread = { buffer: ARRIVED, callback };
    const socket = connect({ host: this.#host, port: this.#port, noDelay: true, onread });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.on('error', (error) => this.#broken(error));
    socket.on('close', () => this.#broken(new Error('the connection was closed')));
    this.#socket = socket;
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
    const { text, length } = this.#head!;
    this.#received = [];
    this.#head = undefined;
    this.#resolve({ status: Number(text.slice(9, 12)), body: all.subarray(length), head: text });
  }

  #readHead(text: string, length: number): void {
    this.#head = { text, length };
    if (/transfer-encoding: chunked/i.test(text)) this.#expected = undefined;
    else this.#expected = length + Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
  }
}
