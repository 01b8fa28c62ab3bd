/** Who waits for the end of a repair is told what became of that one, and of no other. */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { ringRepair } from '#cli/repair-command.ts';

const RUN = {
  ...{ id: 4, state: 'running', bucket: null, done: 0, steps: 3, compared: 7, keys: 0, underWay: 0, refused: 0 },
  ...{ nodes: [], differed: [], reclaimed: 0, blocked: [], failures: [] },
};

const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** Repairs with a node that begins one and then answers these; what was printed. */
async function repair(answers: readonly (readonly [number, object])[], json = true): Promise<string> {
  let asked = 0;
  const server = createServer(({ method }, response) => {
    const [status, body] = method === 'POST' ? [202, RUN] : answers[Math.min(asked++, answers.length - 1)]!;
    if (status === 0) response.destroy();
    else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  let printed = '';
  const told = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  ends.push(() => {
    told.mockRestore();
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await ringRepair({ url, json }, { poll: 1, patience: 20_000 });
  return printed;
}

test('a node that has too much to do, or does not answer once, is asked again', async () => {
  const printed = await repair([
    [429, {}],
    [0, {}],
    [503, {}],
    [200, { ...RUN, state: 'done' }],
  ]);
  expect(JSON.parse(printed)).toMatchObject({ id: 4, state: 'done', compared: 7 });
});

test('another run, and a node that was started again, are told as what they are', async () => {
  await expect(repair([[200, { ...RUN, id: 5, state: 'done' }]])).rejects.toThrow('another repair has begun');
  await expect(repair([[404, {}]])).rejects.toThrow('has been started again');
});

test('people are told how many pairs of replicas were compared: of one partition there are several', async () => {
  expect(await repair([[200, { ...RUN, state: 'done' }]], false)).toMatch(
    /^7 pairs of replicas compared, 0 keys differed$/m,
  );
});
