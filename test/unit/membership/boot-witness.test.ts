/** What a node has to hear of its disk before it serves. */

import { expect, test } from 'vitest';
import { nodeId, storageId, type NodeId } from '#kernel/identity.ts';
import type { BootRecord, BootRecords } from '#membership/boot-records.ts';
import { BootWitness } from '#membership/boot-witness.ts';
import type { BootReply, BootRequest } from '#membership/messages.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { World } from '#world/world.ts';

const [A, B, C, D] = ['a', 'b', 'c', 'd'].map(nodeId) as [NodeId, NodeId, NodeId, NodeId];
const DISK = storageId('a'.repeat(32));

/** The witness of node A in boot 5, and what the others have been asked and told. */
function witness(known?: BootRecord): { made: BootWitness; told: string[]; errors: string[] } {
  const told: string[] = [];
  const errors: string[] = [];
  const messaging = {
    handle: () => undefined,
    call: (to: NodeId, _type: unknown, { announces }: BootRequest): Promise<{ kind: 'reply'; reply: BootReply }> => {
      told.push(`${to} ${announces ? 'told' : 'asked'}`);
      return Promise.resolve({ kind: 'reply', reply: { known } });
    },
  } as unknown as Messaging;
  const world = {
    clock: { monotonic: () => 0 },
    log: { error: (event: string) => errors.push(event) },
  } as unknown as World;
  const own = { storageId: DISK, boot: 5, lives: [50, 40, 30] };
  const records = { get: () => undefined } as unknown as BootRecords;
  return { made: new BootWitness({ world, messaging, self: A, own, records, callTimeout: 100 }), told, errors };
}

async function meets(made: BootWitness, ...peers: NodeId[]): Promise<void> {
  for (const peer of peers) {
    made.meet(peer);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('a majority is asked, and only then told', async () => {
  const { made, told } = witness();
  made.setVoters([A, B, C]);
  expect(made.verified()).toBe(false);
  await meets(made, B);
  expect(made.verified()).toBe(false);
  await meets(made, B, B, C);
  expect(told).toEqual(['b asked', 'b told', 'c told']);
  expect(made.verified()).toBe(true);
});

test('a node alone is its own majority; whoever is named later need not be waited for', async () => {
  const { made, told } = witness();
  expect(made.verified()).toBe(false);
  made.setVoters([A]);
  made.setVoters([A, B, C]);
  expect(made.verified()).toBe(true);
  await meets(made, B, B);
  expect(told).toContain('b told');
});

test('who knows of a boot that the disk does not know speaks against it for good', async () => {
  const { made, told, errors } = witness({ storage: DISK, boot: 4, life: 41 });
  made.setVoters([A, B, C, D]);
  await meets(made, B, C, D, B);
  expect(made.putBack()).toContain('another boot 4');
  expect(made.verified()).toBe(false);
  expect(told).toEqual(['b asked']);
  expect(errors).toEqual(['disk-put-back']);
});

test('a node that serves stops when somebody comes who knows better', async () => {
  const { made } = witness();
  made.setVoters([A]);
  expect(made.verified()).toBe(true);
  made.hear([{ storage: DISK, boot: 9, life: 1 }]);
  expect(made.verified()).toBe(false);
});
