/** What is told of a change whose answer says little, or never comes. */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { dropBucket } from '#cli/bucket-command.ts';
import { ringApply, ringTransfers } from '#cli/change-command.ts';
import { ringForce } from '#cli/force-command.ts';
import { EXIT } from '#cli/output.ts';
import { ringPlan } from '#cli/plan-command.ts';

async function applied(status: number, body: object): Promise<unknown> {
  return withAnswer(status, body, async (url) => ringApply('0123456789abcdef', { url }));
}

async function withAnswer(status: number, body: object, ask: (url: string) => Promise<void>): Promise<unknown> {
  const server = createServer((_, response) => {
    if (status === 0) response.destroy();
    else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return await ask(url).catch((error: unknown) => error);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

test('an outcome that nobody knows has an exit status of its own', async () => {
  const problem = { title: 'No majority', detail: 'too few answered', outcome: 'unknown' };
  expect(await applied(503, problem)).toMatchObject({ exitStatus: EXIT.unknown });
  expect(await applied(503, { ...problem, outcome: 'not-applied' })).toMatchObject({ exitStatus: EXIT.wrong });
  expect(await applied(409, problem)).toMatchObject({ exitStatus: EXIT.conflict });
});

test('a plan that the node has forgotten is no mistake: who plans again may go on', async () => {
  expect(await applied(404, { title: 'Not found', detail: 'no plan of that id' })).toMatchObject({
    exitStatus: EXIT.conflict,
    message: expect.stringMatching(/until it restarts\. Nothing was begun: plan again/) as string,
  });
});

test('where no answer came the change may have begun, and it is said where that is shown', async () => {
  expect(await applied(0, {})).toMatchObject({
    exitStatus: EXIT.unknown,
    message: expect.stringContaining('the change has begun: quoral ring transfers') as string,
  });
});

test('where no connection was made nothing was done, and whoever only looks does not ask whether it was', async () => {
  const apply = ringApply('0123456789abcdef', { url: 'http://127.0.0.1:1' }).catch((error: unknown) => error);
  expect(await apply).toMatchObject({
    exitStatus: EXIT.unreachable,
    message: expect.not.stringContaining('begun') as string,
  });
  const cut = { exitStatus: EXIT.unreachable };
  expect(await withAnswer(0, {}, async (url) => ringTransfers({ url }))).toMatchObject(cut);
  expect(await withAnswer(0, {}, async (url) => ringPlan({ url }))).toMatchObject(cut);
  // What it would do is told first.
  expect(await withAnswer(0, {}, async (url) => ringForce({ url, lost: ['n2'] }))).toMatchObject(cut);
});

test('a bucket whose drop was not answered may be dropped: the exit status says that nobody knows', async () => {
  const dropped = await withAnswer(0, {}, async (url) => dropBucket('b', { url, yes: true }));
  expect(dropped).toMatchObject({ exitStatus: EXIT.unknown, message: expect.stringContaining('unknown') as string });
});

test('a node that knows no ring does not say that nothing moves', async () => {
  const nothing = { state: 'idle', id: null, epoch: 0, last: null, transfers: [] };
  const answer = await withAnswer(200, nothing, async (url) => ringTransfers({ url }));
  expect(answer).toMatchObject({ message: expect.stringContaining('knows no ring yet') as string });
});
