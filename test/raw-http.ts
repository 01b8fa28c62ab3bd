/**
 * HTTP/1.1 over a bare socket, both ways: what is sent goes out byte for byte, and what comes back is read by the letter,
 * so that an answer with a wrong length or with something behind it is found.
 */

import { connect } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly head: string;
}

export type Chunk = string | Uint8Array;

/** Text stands for bytes: each character up to U+00FF is one. */
export function bytesOf(chunk: Chunk): Uint8Array {
  return typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk;
}

export interface Sending {
  /** How long the other end may be silent without closing, in milliseconds. */
  readonly limitMs?: number;
  /** Tell the other end that nothing more will come. */
  readonly end?: boolean;
}

/** Sends the chunks, each in a write of its own, and gives all that comes back until the other end closes. */
export function bytesBack(
  port: number,
  chunks: readonly Chunk[],
  { limitMs = 60_000, end = false }: Sending = {},
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const received: Buffer[] = [];
    socket.setTimeout(limitMs, () => socket.destroy(new Error(`open and silent for ${limitMs} ms`)));
    socket.on('data', (chunk) => received.push(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // An answer that came before the other end cut the connection still counts.
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve(Buffer.concat(received)));
    const [first, ...rest] = chunks;
    const sendOn = (chunk: Chunk | undefined): void => {
      if (chunk === undefined) {
        if (end) socket.end();
        return;
      }
      // A turn of the event loop between two chunks keeps them apart on the other side, mostly.
      if (socket.writable) socket.write(bytesOf(chunk), () => setImmediate(sendOn, rest.shift()));
    };
    sendOn(first);
  });
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
