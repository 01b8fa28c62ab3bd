import { expect, test } from 'vitest';
import { createApp } from '#api/app.ts';
import { inProcess } from '#api/in-process.ts';
import { utf8 } from '#kernel/bytes.ts';
import { textOf } from './client.ts';
import { StubNode } from './stub-services.ts';

test('a listing that crashes, at its first page or later, leaves no place taken', async () => {
  let pages = 0;
  const services = new StubNode().services();
  const list = async (): ReturnType<typeof services.list> => {
    pages += 1;
    if (pages !== 2) throw new Error('a bug');
    return { kind: 'page', keys: [utf8('a')], next: utf8('a') };
  };
  const send = inProcess(createApp({ ...services, list }));
  const lines = { accept: 'application/x-ndjson' };
  expect((await send('GET', '/v1/kv/b', lines)).status).toBe(500);
  await expect(send('GET', '/v1/kv/b', lines)).rejects.toThrow('a bug');
  expect(pages).toBe(3);
  expect(textOf(await send('GET', '/metrics'))).toContain('quoral_http_streams 0\n');
});
