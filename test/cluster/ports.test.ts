/** What the other tests of this folder stand on: that they talk to the nodes that they have started, and to no others. */

import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { freeBase, freePorts } from './ports.ts';
import { TestCluster } from './support.ts';

test('a port that one test was given is given to no other, though nothing listens there yet', async () => {
  const [port = 0] = await freePorts(1);
  await expect(freeBase([0], { from: port, to: port + 1 })).rejects.toThrow(`no ports are free from ${port}`);
});

test('what answers on the port of a node without being that node is not taken for it', async () => {
  const cluster = await TestCluster.prepare(1);
  const other = createServer((_, response) => response.end('ready'));
  await new Promise<void>((resolve) => other.listen(Number(new URL(cluster.url('n1')).port), '127.0.0.1', resolve));
  try {
    cluster.startNode('n1');
    await expect(cluster.ready()).rejects.toThrow('n1 ended with 1: quoral: --listen 127.0.0.1:');
  } finally {
    other.closeAllConnections();
    other.close();
    await cluster.stop();
  }
});
