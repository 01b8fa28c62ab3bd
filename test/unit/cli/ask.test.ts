import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { ask } from '../../../src/cli/client.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

/** The address of a node, and what it was asked; one that hangs up says nothing to anybody. */
async function node(answers: boolean): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    if (answers) response.writeHead(200).end('{}');
    else request.socket.destroy();
  });
  servers.push(server);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

/** Where a node was that is gone. */
async function nowhere(): Promise<string> {
  const { url } = await node(true);
  const server = servers.pop()!;
  await new Promise((resolve) => server.close(resolve));
  return url;
}

test('of several nodes the first is asked that can be connected with', async () => {
  const [gone, first, second] = [await nowhere(), await node(true), await node(true)];
  const answer = await ask({ url: `${gone}, ${first.url},${second.url}` }, '/v1/cluster');
  expect([answer.status, first.asked, second.asked]).toEqual([200, ['GET /v1/cluster'], []]);
});

test('a change that may have reached a node is not sent to another', async () => {
  const [first, second] = [await node(false), await node(true)];
  const url = `${first.url},${second.url}`;
  await expect(ask({ url }, '/x', { method: 'POST' })).rejects.toMatchObject({ exitStatus: 5 });
  expect([first.asked, second.asked]).toEqual([['POST /x'], []]);
});

test('a question is put to the next one when a node does not answer it', async () => {
  const [first, second] = [await node(false), await node(true)];
  expect((await ask({ url: `${first.url},${second.url}` }, '/x')).status).toBe(200);
  expect([first.asked, second.asked]).toEqual([['GET /x'], ['GET /x']]);
});

test('when nobody can be reached all are named, and one that is no address is refused before any is asked', async () => {
  const [one, other, there] = [await nowhere(), await nowhere(), await node(true)];
  const told = ask({ url: `${one},${other}` }, '/x');
  await expect(told).rejects.toMatchObject({ exitStatus: 4, message: expect.stringContaining(one) as unknown });
  await expect(ask({ url: `${one},${other}` }, '/x')).rejects.toThrow(other);
  await expect(ask({ url: `${there.url},n2:7101` }, '/x')).rejects.toThrow('"n2:7101": must be http://host:port');
  expect(there.asked).toEqual([]);
});
