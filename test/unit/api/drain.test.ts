/** What is left of a body behind its answer. */

import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createApp } from '#api/app.ts';
import { startServer } from '#api/server.ts';
import { drain } from '#api/server-request.ts';
import { exchangeBytes } from './client.ts';
import { StubNode } from './stub-services.ts';

class Body extends PassThrough {
  readonly complete = false;
  readonly socket = { destroySoon: vi.fn<() => void>() };
}

let body: Body;

beforeEach(() => {
  vi.useFakeTimers();
  body = new Body();
  drain(body as unknown as IncomingMessage);
});

afterEach(() => void vi.useRealTimers());

/** Some bytes every second. */
async function comes(seconds: number, bytes = 1): Promise<void> {
  for (let i = 0; i < seconds; i++) {
    await vi.advanceTimersByTimeAsync(1000);
    body.write(new Uint8Array(bytes));
    await vi.advanceTimersByTimeAsync(1);
  }
}

test('what comes slowly is waited for, and the connection stands when all of it was there', async () => {
  await comes(6);
  body.end();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(body.socket.destroySoon).not.toHaveBeenCalled();
});

test.each([
  ['nothing comes', async () => vi.advanceTimersByTimeAsync(2001)],
  ['it goes on for ever', async () => comes(10)],
  ['it is too much', async () => comes(3, 32 * 1024 * 1024)],
])('the connection is cut when %s', async (_name, happens) => {
  await happens();
  expect(body.socket.destroySoon).toHaveBeenCalled();
});

test.each(['PUT /v1/kv/b/k', 'POST /v1/batch', 'POST /v1/nowhere'])(
  'so it is behind the answer to %s',
  async (request) => {
    const services = new StubNode().services();
    const server = await startServer(createApp(services), services, { host: '127.0.0.1', port: 0 });
    const client = connect(server.port, '127.0.0.1').on('error', () => undefined);
    const bytes = 100_000_000;
    client.write(
      `${request} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n`,
    );
    expect(String((await once(client, 'data'))[0])).toMatch(/^HTTP\/1.1 4\d\d /);
    await vi.advanceTimersByTimeAsync(1000);
    // Time enough to hear of an end.
    await exchangeBytes(server.port, 'GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    expect(client.closed).toBe(false);
    client.destroy();
    await server.close(0);
  },
);
