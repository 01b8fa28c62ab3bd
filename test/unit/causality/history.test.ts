import fc from 'fast-check';
import { expect, test } from 'vitest';
import { equalStates } from '#causality/join.ts';
import { isWithinHorizon } from '#causality/horizon.ts';
import type { Conflicts } from '#causality/state.ts';
import { Cluster, history, REPLICAS } from './history.ts';
import type { Mistakes, Operation } from './history.ts';

const BOTH: readonly Conflicts[] = ['siblings', 'lww'];

for (const conflicts of BOTH) {
  test(`${conflicts}: every replica always holds what the oracle expects, and all end equal`, () => {
    fc.assert(
      fc.property(history, (operations) => {
        const cluster = new Cluster(conflicts).run(operations);
        for (let i = 1; i < REPLICAS; i++) expect(equalStates(cluster.state(0), cluster.state(i))).toBe(true);
      }),
      { numRuns: 400 },
    );
  });
}

test('the histories contain what they are for', () => {
  const seen = { siblings: 0, gone: 0, crashes: 0, tenures: 0, horizons: 0, within: 0 };
  for (const operations of fc.sample(history, { numRuns: 200, seed: 1 })) {
    const cluster = new Cluster('siblings').run(operations);
    if (cluster.live(0).length > 1) seen.siblings++;
    if (cluster.live(0).length === 0 && cluster.state(0).vector.length > 0) seen.gone++;
    if (operations.some((operation) => operation.kind === 'crash' && operation.loses !== 'nothing')) seen.crashes++;
    if (cluster.state(0).vector.length > REPLICAS) seen.tenures++;
    if (cluster.horizons > 0) seen.horizons++;
    const { vector, versions } = cluster.state(0);
    if (versions.some(({ dot }) => isWithinHorizon(vector, dot))) seen.within++;
  }
  for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(5);
});

function write(replica: number, client: number, how: 'blind' | 'informed'): Operation {
  return { kind: 'write', replica, client, blind: how === 'blind', remove: false };
}

/** Sends the replica's copy, as message number `message`, to another one. */
function copy(replica: number, to: number, message: number): readonly Operation[] {
  return [
    { kind: 'send', replica },
    { kind: 'deliver', replica: to, message },
  ];
}

function isCaught(conflicts: Conflicts, mistakes: Mistakes): boolean {
  const runs = fc.property(history, (operations) => {
    new Cluster(conflicts, mistakes).run(operations);
  });
  return fc.check(runs, { numRuns: 1000, seed: 7, endOnFailure: true }).failed;
}

for (const loses of ['commit', 'disk'] as const) {
  test(`mistake: an actor that lost its ${loses} is used again, and a write is lost`, () => {
    const operations = [
      write(0, 0, 'blind'),
      ...copy(0, 1, 0),
      { kind: 'crash', replica: 0, loses } as const,
      write(0, 1, 'blind'),
      ...copy(0, 1, 1),
    ];
    expect(new Cluster('siblings').run(operations).live(1)).toEqual([0, 1]);
    expect(() => new Cluster('siblings', { reusesActors: true }).run(operations)).toThrow(
      'replica 1 holds writes [1], the oracle expects [0,1]',
    );
  });
}

test('mistake: random histories find the reused actor', () => {
  expect(isCaught('siblings', { reusesActors: true })).toBe(true);
});

test('mistake: the last write by wall clocks, which a slow clock makes lose to what it supersedes', () => {
  const operations = [write(3, 0, 'blind'), ...copy(3, 1, 0), write(1, 0, 'informed')];
  expect(new Cluster('lww').run(operations).live(3)).toEqual([1]);
  expect(() => new Cluster('lww', { trustsWallClocks: true }).run(operations)).toThrow(
    'write 0 wins over 1, whose writer had seen it',
  );
  expect(isCaught('lww', { trustsWallClocks: true })).toBe(true);
});

test('a key that is written across many unclean starts keeps a short vector', () => {
  const once: readonly Operation[] = [
    { kind: 'crash', replica: 0, loses: 'nothing' },
    write(0, 0, 'blind'),
    { kind: 'read', replica: 0, client: 0 },
    write(0, 0, 'informed'),
  ];
  const claim: Operation = { kind: 'horizon', meet: true, takers: [1] };
  const turns = Array.from({ length: 50 }, (_, i) => (i % 10 === 9 ? [...once, claim] : once)).flat();
  expect(new Cluster('siblings').run(turns.filter(({ kind }) => kind !== 'horizon')).state(2).vector).toHaveLength(50);
  const { vector, versions } = new Cluster('siblings').run(turns).state(2);
  expect(versions).toHaveLength(1);
  expect(vector).toHaveLength(2);
});

for (const mistake of ['claimsUnasked', 'takesOldNews', 'writesWithin'] as const) {
  test(`mistake: random histories find ${mistake}`, () => {
    expect(isCaught('siblings', { [mistake]: true })).toBe(true);
  });
}
