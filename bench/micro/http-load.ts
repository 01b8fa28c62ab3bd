/**
 * The load process of the front door's benchmark: each of its connections sends its next request when the answer to the
 * last is complete. `PORT METHOD REQUESTS [TOKEN]`, told to go by a message.
 */

import { connect } from 'node:net';

export type Method = 'PUT' | 'GET';

export const VALUE = Buffer.alloc(1024, 'v');
const CONNECTIONS = 32;

function requestBytes(port: number, method: Method, token: string | undefined): Buffer {
  const authorization = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
  const head = `${method} /v1/kv/bench/key-1 HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${authorization}`;
  if (method === 'GET') return Buffer.from(`${head}\r\n`);
  const fields = `Content-Type: application/octet-stream\r\nContent-Length: ${VALUE.length}\r\n`;
  return Buffer.concat([Buffer.from(`${head}${fields}\r\n`), VALUE]);
}

function load(port: number, method: Method, requests: number, token: string | undefined): void {
  const request = requestBytes(port, method, token);
  let unsent = requests;
  let unanswered = requests;
  const connections = Array.from({ length: Math.min(CONNECTIONS, requests) }, () => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let missing = -1;
    const next = (): void => {
      if (unsent-- > 0) socket.write(request);
    };
    socket.on('data', (chunk) => {
      if (missing < 0) {
        const end = chunk.indexOf('\r\n\r\n');
        const head = chunk.toString('latin1', 0, end);
        if (!/^HTTP\/1\.1 (20[04]|429) /.test(head)) throw new Error(head);
        missing = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0) - (chunk.length - end - 4);
      } else missing -= chunk.length;
      if (missing > 0) return;
      missing = -1;
      unanswered -= 1;
      if (unanswered === 0) process.exit(0);
      next();
    });
    return { next, connected: new Promise((resolve) => socket.once('connect', resolve)) };
  });
  process.once('message', () => connections.forEach(({ next }) => next()));
  void Promise.all(connections.map(({ connected }) => connected)).then(() => process.send!('ready'));
}

const [, script, port, method, requests, token] = process.argv;
if (script === import.meta.filename) load(Number(port), method === 'PUT' ? 'PUT' : 'GET', Number(requests), token);
