import { test, expect } from 'vitest';
import { harness, textOf, exchangeBytes } from './client.ts';
import { startServer } from '#api/server.ts';
import { createApp } from '#api/app.ts';
import { StubNode } from './stub-services.ts';

test('smoke', async () => {
  const { send } = harness();
  const put = await send('PUT', '/v1/kv/b/k', { 'Content-Type': 'text/plain' }, new TextEncoder().encode('hi'));
  console.log(put.status, put.headers);
  const got = await send('GET', '/v1/kv/b/k');
  console.log(got.status, got.headers, textOf(got));
  for (const [m, t] of [
    ['GET', '/v1/kv/b/%2e%2e'],
    ['GET', '/v1/kv/b/nope'],
    ['POST', '/v1/kv/b/k'],
    ['PATCH', '/v1/kv/b/k'],
    ['GET', '/v1/kv/b/k?r=4'],
    ['GET', '/readyz'],
    ['HEAD', '/v1/kv/b/k'],
    ['GET', '/x'],
  ] as const) {
    const a = await send(m, t);
    console.log(m, t, a.status, a.headers.get('allow'), textOf(a), a.headers.get('content-length'));
  }
  const services = new StubNode().services();
  const server = await startServer(createApp(services), services, { host: '127.0.0.1', port: 0 });
  console.log(
    await exchangeBytes(
      server.port,
      'PUT /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi',
      'GET /v1/kv/b/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    ),
  );
  await server.close(100);
  expect(1).toBe(1);
});
