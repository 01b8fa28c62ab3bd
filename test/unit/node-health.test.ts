/** The checks that a simulated node cannot be brought to fail: a stub of a node with what they look at. */

import { describe, expect, test } from 'vitest';
import type { Check, Health } from '#api/services.ts';
import { clusterId, nodeId, storageId } from '#kernel/identity.ts';
import { foundRing } from '#ring/founding.ts';
import type { Member } from '#ring/ring.ts';
import { DiskError, type DiskFailureKind } from '#world/world.ts';
import { clusterHealth, liveHealth, readyHealth, type HostHealth } from '#node-health.ts';
import type { QuoralNode } from '#node.ts';

const HOST: HostHealth = {
  eventLoopDelay: () => 3,
  eventLoopTime: () => ({ atWork: 0, waited: 0 }),
  stopping: () => false,
  certificates: () => [],
  eventLoopDelayWarning: 500,
  diskFreeWarning: 1000,
};

interface Stub {
  readonly state?: Member['state'];
  readonly failure?: DiskFailureKind;
  readonly free?: number;
  readonly tenure?: boolean;
  readonly reachable?: readonly string[];
  readonly apart?: readonly { readonly id: string; readonly difference: number }[];
  readonly lead?: number;
  /** The n of buckets that there are, or were. */
  readonly buckets?: readonly { readonly n: number; readonly dropped: boolean }[];
}

function nodeWith({
  state = 'active',
  failure,
  free = 1e9,
  tenure = true,
  reachable = ['n2', 'n3'],
  apart = [],
  lead = 0,
  buckets: defined = [],
}: Stub): QuoralNode {
  const founders = ['n1', 'n2', 'n3'].map((id) => ({
    ...{ id: nodeId(id), peer: `${id}:1`, url: '', zone: 'z', weight: 1 },
    storageId: storageId('0'.repeat(32)),
  }));
  const cluster = clusterId('0'.repeat(32));
  const founding = { clusterId: cluster, founders, partitionCount: 8, hashSeed: '0'.repeat(32) };
  const founded = foundRing(founding);
  const [three] = founded.placements;
  const more = defined.map(({ n }) => ({
    n,
    partitions: three!.partitions.map((entry) => ({ ...entry, owners: entry.owners.slice(0, n) })),
  }));
  const buckets = defined.map(({ n, dropped }) => ({ dropped, properties: { n } }));
  const placements = [...founded.placements, ...more];
  const ring = {
    ...founded,
    placements,
    members: founded.members.map((member, i) => (i === 0 ? { ...member, state } : member)),
  };
  const error = failure === undefined ? undefined : new DiskError(failure, 'no such luck', false);
  const node = {
    options: { id: nodeId('n1'), membership: { clocks: { warnFrom: 500, apartMax: 60_000 } } },
    membership: { clocks: { apartBy: () => apart } },
    hybridClockLead: () => lead,
    world: { disk: { failure: () => error, freeBytes: () => free } },
    chain: { facts: () => ({ epoch: 4, ring, buckets }), confirmed: () => true },
    messaging: { trouble: (id: string) => (id === 'n3' ? 'certificate has expired' : undefined) },
    peers: { answers: (id: string) => reachable.includes(id) },
    member: () => ring.members[0],
    ready: () => failure === undefined || failure === 'full',
    notReadyReason: () => undefined,
    tenureValid: () => tenure,
  };
  return node as unknown as QuoralNode;
}

function check({ checks }: Health, name: string): Check | undefined {
  return checks.find((one) => one.name === name);
}

describe('ready', () => {
  test('a node that is being refilled is not: others serve better', () => {
    const health = readyHealth(nodeWith({ state: 'refilling' }), HOST);
    expect(health.ok).toBe(false);
    expect(check(health, 'member')).toEqual({ name: 'member', ok: false, detail: 'refilling' });
  });

  test('one that stops is not', () => {
    expect(readyHealth(nodeWith({}), { ...HOST, stopping: () => true }).ok).toBe(false);
  });

  test('little space is a warning, and so is a late event loop', () => {
    const health = readyHealth(nodeWith({ free: 999 }), { ...HOST, eventLoopDelay: () => 501 });
    expect(health.ok).toBe(true);
    expect(check(health, 'disk-space')).toMatchObject({
      ok: true,
      warning: true,
      detail: expect.stringMatching(/^0 MiB free/) as string,
    });
    expect(check(health, 'event-loop')).toMatchObject({
      ok: true,
      warning: true,
      detail: expect.stringMatching(/501 ms/) as string,
    });
    const calm = readyHealth(nodeWith({ free: 1000 }), HOST);
    expect(calm.checks.some(({ warning }) => warning === true)).toBe(false);
    expect(check(readyHealth(nodeWith({ free: Infinity }), HOST), 'disk-space')?.detail).toBe('not known');
  });
});

test('a node that knows no epoch says so, and not that there is none', () => {
  const node = nodeWith({});
  node.chain.facts = () => undefined;
  const detail = 'no epoch is known here yet';
  expect(check(readyHealth(node, HOST), 'epoch')).toEqual({ name: 'epoch', ok: false, detail });
});

describe('live', () => {
  test.each(['failed', 'corrupt'] as const)('a disk that is %s wants a restart', (failure) => {
    expect(liveHealth(nodeWith({ failure }))).toMatchObject({ ok: false });
  });

  test('a full disk does not, spent tenures do', () => {
    expect(liveHealth(nodeWith({ failure: 'full' })).ok).toBe(true);
    expect(check(liveHealth(nodeWith({ tenure: false })), 'tenures')).toMatchObject({ ok: false });
  });
});

describe('healthy', () => {
  test('an owner that is being refilled vouches for nothing, and so the rest must be there', () => {
    expect(clusterHealth(nodeWith({ state: 'refilling' })).share).toBe(1);
    expect(clusterHealth(nodeWith({ state: 'refilling', reachable: ['n2'] })).share).toBe(0);
    expect(clusterHealth(nodeWith({ reachable: ['n2'] })).share).toBe(1);
  });

  test('of an n that no bucket has any more nothing has to be there', () => {
    const share = (dropped: boolean): number =>
      clusterHealth(nodeWith({ reachable: ['n2'], buckets: [{ n: 1, dropped }] })).share;
    expect(share(false)).toBeLessThan(1);
    expect(share(true)).toBe(1);
  });

  test('this node counts only while it serves', () => {
    expect(clusterHealth(nodeWith({ failure: 'failed', reachable: ['n2'] })).share).toBe(0);
    expect(clusterHealth(nodeWith({ failure: 'full', reachable: ['n2'] })).share).toBe(1);
  });
});

test('clocks that are apart, and times of writes that are ahead of the clock, are warnings', () => {
  const clocksOf = (stub: Stub): Check | undefined => check(readyHealth(nodeWith(stub), HOST), 'clocks');
  expect(clocksOf({})).toEqual({ name: 'clocks', ok: true, detail: 'at most 500 ms apart, as far as members answer' });
  expect(clocksOf({ apart: [{ id: 'n3', difference: -10_800_000 }] })).toMatchObject({
    ...{ ok: true, warning: true },
    detail: 'n3 is 3.0 hours behind this node',
  });
  expect(clocksOf({ lead: 3 * 365 * 86_400_000 })).toMatchObject({
    ...{ ok: true, warning: true },
    detail: 'the times that this node gives its writes are 1095.0 days ahead of its clock',
  });
});

test('peers that cannot be reached are named, with the reason', () => {
  expect(check(readyHealth(nodeWith({ reachable: [] }), HOST), 'peers')).toEqual({
    ...{ name: 'peers', ok: true, warning: true },
    detail: '0 of 2 can be reached; n2: does not answer; n3: certificate has expired',
  });
});
