/** Nodes of a simulation talk in encoded bytes: what is not in the bytes does not arrive, and damaged bytes do damage. */

import { expect, test } from 'vitest';
import { decodeEnvelope } from '#wire/envelope.ts';
import { SimulatedCluster } from './cluster.ts';
import { requestName } from './messages-on-the-wire.ts';

const MARK = 'a value that nothing else contains';

function positionOfMark(message: Uint8Array): number {
  return Buffer.from(message.buffer, message.byteOffset, message.length).indexOf(MARK);
}

/** Shows every message between the nodes, as it travels, to `look`, which may change it. */
function watch(cluster: SimulatedCluster, look: (message: Uint8Array) => void): void {
  const loses = (message: Uint8Array): boolean => {
    look(message);
    return false;
  };
  for (const from of cluster.machines) {
    for (const to of cluster.machines) if (from !== to) cluster.network.setFault(from.host, to.host, { loses });
  }
}

test('a value crosses the network as bytes of encoded messages', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 11, nodes: 3 });
  const carriers: Uint8Array[] = [];
  watch(cluster, (message) => {
    if (positionOfMark(message) >= 0) carriers.push(message.slice());
  });
  expect((await cluster.request('n1', 'PUT', '/v1/kv/b/k?w=all', { body: MARK })).status).toBe(204);
  expect(carriers.map(requestName)).toEqual(['replica.store', 'replica.store']);
  for (const message of carriers) {
    const envelope = decodeEnvelope(message);
    expect(envelope.kind === 'request' && Array.isArray(envelope.body)).toBe(true);
  }
});

test('a byte that changes on its way is noticed by the receiver, who does not take the write', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 12, nodes: 3 });
  let changed = 0;
  watch(cluster, (message) => {
    const at = positionOfMark(message);
    if (at < 0) return;
    message[at]! ^= 1;
    changed += 1;
  });
  const answer = await cluster.request('n1', 'PUT', '/v1/kv/b/k?w=all&timeout=1000', { body: MARK });
  expect(changed).toBe(2);
  // One owner that has not taken it is enough for the answer; the message to the other may be under way still.
  await cluster.simulation.run(cluster.simulation.now + 20);
  expect(answer.status).toBeGreaterThanOrEqual(503);
  const noticed = cluster.log.entries.filter(({ event }) => event === 'peer-malformed-message').map(({ host }) => host);
  expect(noticed.toSorted()).toEqual(['n2', 'n3']);
});
