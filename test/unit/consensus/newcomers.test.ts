import { expect, test } from 'vitest';
import { acquaint, Newcomers, NEWCOMERS_MAX } from '#consensus/newcomers.ts';
import type { EpochLog } from '#consensus/epoch-log.ts';
import type { Facts, Introduction } from '#consensus/facts.ts';
import { epoch, nodeId, nodeIndex, storageId, type ClusterId } from '#kernel/identity.ts';
import type { Member } from '#ring/ring.ts';
import type { Clock } from '#world/world.ts';

const disk = (digit: string): Member['storageId'] => storageId(digit.repeat(32));

function member(number: number, change: Partial<Member> = {}): Member {
  const id = nodeId(`n${number}`);
  return {
    ...{ index: nodeIndex(number - 1), id, storageId: disk(String(number)), peer: `${id}:1`, url: '', zone: 'z' },
    ...{ weight: 1, state: 'active' },
    ...change,
  };
}

function facts(...members: readonly Member[]): Facts {
  const ring = { clusterId: '' as ClusterId, partitionCount: 1, hashSeed: '', members, voters: [], placements: [] };
  return { epoch: epoch(1), ring, buckets: [], tokens: [] };
}

function node(id: string, digit: string, peer = `${id}:1`): Introduction {
  return { id, storageId: digit.repeat(32), peer, url: '', zone: 'z', weight: 1 };
}

const FACTS = facts(
  member(1),
  member(2, { storageId: null }),
  member(3, { state: 'removed' }),
  member(4, { id: nodeId('n3') }),
);

test.each([
  ['a member', node('n1', '1'), 'member'],
  ['a founder that nobody has seen yet', node('n2', '7'), 'member'],
  ['a member with an empty disk at its address', node('n1', '7'), 'member'],
  ['another node of that name', node('n1', '7', 'x:1'), 'id-taken'],
  ['a copy of a member', node('n7', '1'), 'disk-taken'],
  ['a member with the copy of another one', node('n2', '1'), 'disk-taken'],
  ['a removed disk', node('n3', '3'), 'removed'],
  ['a removed disk under a new name', node('n7', '3'), 'removed'],
  ['the later member of a name that was free again', node('n3', '4'), 'member'],
  ['a new node at the address of a member', node('n7', '7', 'n1:1'), 'address-taken'],
  ['a new node at the address of a removed one', node('n7', '7', 'n3:1'), 'newcomer'],
  ['a new node', node('n7', '7'), 'newcomer'],
])('%s', (_, introduction, verdict) => {
  const found = acquaint(FACTS, introduction);
  expect(found.kind === 'refused' ? found.code : found.kind).toBe(verdict);
});

interface Waiting {
  /** `due`: what the clock has been asked to do later. */
  readonly at: { now: number; newest: Facts; due: () => void };
  readonly list: Newcomers;
  /** Those that waited at each change that was told. */
  readonly told: string[];
}

function newcomers(): Waiting {
  const at: Waiting['at'] = { now: 0, newest: FACTS, due: () => undefined };
  const clock = {
    monotonic: () => at.now,
    after: (_, run) => {
      at.due = run;
      return { cancel: () => undefined };
    },
  } as Clock;
  const log = {
    get newest() {
      return at.newest;
    },
  } as EpochLog;
  const told: string[] = [];
  const changed = (): void =>
    void told.push(
      list
        .list()
        .map(({ id }) => id)
        .join(' '),
    );
  const list = new Newcomers({ clock, log, forgetAfter: 10, changed });
  return { at, list, told };
}

test('one that is silent is forgotten, and one that has become a member', () => {
  const { at, list } = newcomers();
  list.meet(node('n8', '8'));
  list.meet(node('n7', '7'));
  list.meet(node('n1', '1'));
  expect(list.list().map(({ id }) => id)).toEqual(['n7', 'n8']);
  at.now = 8;
  list.meet(node('n7', '7'));
  at.now = 11;
  expect(list.list().map(({ id }) => id)).toEqual(['n7']);
  at.newest = facts(...FACTS.ring.members, member(7));
  expect(list.list()).toEqual([]);
});

test('whoever wants to be connected with them hears of each once, and when they are forgotten', () => {
  const { at, list, told } = newcomers();
  list.meet(node('n7', '7'));
  list.meet(node('n7', '7'));
  list.meet(node('n8', '8'));
  expect(told).toEqual(['n7', 'n7 n8']);
  at.now = 8;
  list.meet(node('n8', '8'));
  at.now = 11;
  at.due();
  expect(told).toEqual(['n7', 'n7 n8', 'n8']);
  at.now = 21;
  at.due();
  expect(told.at(-1)).toBe('');
  list.meet(node('n7', '7'));
  list.meet(node('n7', '7', 'elsewhere:1'));
  expect(told.slice(-2)).toEqual(['n7', 'n7']);
});

test('a node that waits may come back with an empty disk', () => {
  const { list } = newcomers();
  list.meet(node('n7', '7'));
  list.meet(node('n7', '8'));
  expect(list.list()).toEqual([node('n7', '8')]);
});

test('two nodes do not wait under one name, and no more than the bound wait', () => {
  const { at, list } = newcomers();
  list.meet(node('n7', '7'));
  expect(() => list.meet(node('n7', '8', 'n8:1'))).toThrow('another node named n7 waits already, at n7:1');
  for (let i = 1; i < NEWCOMERS_MAX; i++) list.meet(node(`x${i}`, '9', `x${i}:1`));
  expect(() => list.meet(node('n8', '8'))).toThrow('64 nodes wait to join already');
  at.now = 11;
  list.meet(node('n8', '8'));
});
