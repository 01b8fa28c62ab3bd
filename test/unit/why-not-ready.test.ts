/** A node serves only with the disk that the ring has bound to its name, and sees when another ring binds another one. */

import { expect, test } from 'vitest';
import { storageId } from '#kernel/identity.ts';
import { whyNotReady } from '../../src/why-not-ready.ts';

type Node = Parameters<typeof whyNotReady>[0];

const OWN = 'a'.repeat(32);

function nodeBoundTo(disk: string): { node: Node; bind: (disk: string) => void } {
  const facts = { epoch: 7 };
  let member = { id: 'n1', storageId: disk };
  const node = {
    tenureValid: () => true,
    world: { disk: { failure: () => undefined } },
    options: { id: 'n1' },
    membership: {
      diskPutBack: () => undefined,
      diskVerified: () => true,
      clocks: { ownFault: () => undefined, doubt: () => undefined },
    },
    chain: { facts: () => facts, whyOutside: () => undefined, confirmed: () => true },
    member: () => member,
    replica: { floors: { known: () => true } },
  } as unknown as Node;
  return { node, bind: (other) => (member = { id: 'n1', storageId: other }) };
}

test('the disk is that of the member, also after another ring', () => {
  const { node, bind } = nodeBoundTo(OWN);
  const why = whyNotReady(node, { storageId: storageId(OWN) });
  expect(why()).toBeUndefined();
  expect(why()).toBeUndefined();
  bind('b'.repeat(32));
  expect(why()).toBe('epoch 7 binds n1 to another storage identity');
  bind(OWN);
  expect(why()).toBeUndefined();
});
