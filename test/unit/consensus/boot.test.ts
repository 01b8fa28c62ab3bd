/** Founding, starting again, and disks that were lost, in a world without other faults. */

import { describe, expect, it } from 'vitest';
import { epoch, nodeId, storageId } from '#kernel/identity.ts';
import type { NodeId } from '#kernel/identity.ts';
import { EpochChain } from '#consensus/epoch-chain.ts';
import type { Facts } from '#consensus/facts.ts';
import { Medium, Universe } from './virtual-world.ts';

interface Running {
  readonly chain: EpochChain;
  readonly stop: () => void;
}

class Bench {
  readonly universe = new Universe(1);
  readonly media = new Map<string, Medium>();

  start(
    name: string,
    founders: readonly string[],
    options: { disk?: string; boot?: number; url?: string; backoffLongest?: number; trusted?: () => boolean } = {},
  ): Running {
    const disk = options.disk ?? name;
    const medium = this.media.get(disk) ?? new Medium();
    this.media.set(disk, medium);
    const life = { alive: true };
    const id = nodeId(name);
    const chain = new EpochChain({
      world: this.universe.world(id, medium, life, () => undefined),
      messaging: this.universe.hub.messaging(id, life, diskId(disk)),
      self: {
        id,
        storageId: diskId(disk),
        peer: peerOf(name),
        url: options.url ?? `http://${name}`,
        zone: 'z',
        weight: 1,
      },
      boot: options.boot ?? 1,
      founders: founders.map((founder) => ({ id: nodeId(founder), peer: peerOf(founder) })),
      partitionCount: 2,
      foundingPatience: 500,
      ...(options.trusted === undefined ? {} : { trusted: options.trusted }),
      settings: {
        callTimeout: 50,
        ownProposalTimeout: 200,
        backoffFirst: 2,
        backoffLongest: options.backoffLongest ?? 40,
      },
    });
    chain.start();
    const stop = (): void => {
      life.alive = false;
      medium.crash(this.universe.dice);
    };
    return { chain, stop };
  }

  async run(milliseconds: number): Promise<void> {
    await this.universe.timeline.runUntil(this.universe.timeline.now + milliseconds);
  }

  /** Lets virtual time pass until the promise settles. */
  async finish<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    void promise.finally(() => (settled = true));
    await this.universe.timeline.runUntil(this.universe.timeline.now + 60_000, () => settled);
    return await promise;
  }
}

function peerOf(name: string): string {
  return `${name}.test:1`;
}

function diskId(disk: string): ReturnType<typeof storageId> {
  return storageId(Buffer.from(disk).toString('hex').padStart(32, '0'));
}

function memberOf({ chain }: Running, name: string): Facts['ring']['members'][number] | undefined {
  return chain.facts()?.ring.members.find(({ id }) => id === name);
}

function whyUnconfirmed({ chain }: Running): string {
  return chain.whyUnconfirmed(chain.facts()!);
}

const rename = (name: string) => (facts: Facts) => {
  const version = epoch(facts.epoch + 1);
  const row = { name, incarnation: 0, version, dropped: false, properties: {} };
  return { ...facts, epoch: version, buckets: [...facts.buckets, row] };
};

const THREE = ['n1', 'n2', 'n3'];

it('what is stopped in the midst of its founding or its first words votes no more: its disk is closed next', async () => {
  for (const after of [0, 1, 2, 5, 20]) {
    const bench = new Bench();
    const { chain } = bench.start('n1', ['n1']);
    await bench.run(after);
    await bench.finish(chain.stop());
    const medium = bench.media.get('n1')!;
    let commits = 0;
    const commit = medium.commit.bind(medium);
    medium.commit = (writes) => {
      commits += 1;
      return commit(writes);
    };
    await bench.run(5000);
    expect(commits, `stopped after ${after} ms`).toBe(0);
  }
});

describe('founding', () => {
  it('needs nobody else for a cluster of one, which confirms itself', async () => {
    const bench = new Bench();
    const only = bench.start('n1', ['n1']);
    await bench.run(50);
    expect(only.chain.facts()?.epoch).toBe(1);
    expect(only.chain.confirmed()).toBe(true);
    expect(memberOf(only, 'n1')).toMatchObject({ storageId: diskId('n1'), state: 'active', url: 'http://n1' });
  });

  it('gives all founders the same first facts, with a seed that follows from the list', async () => {
    const [first, second] = [new Bench(), new Bench()];
    const nodes = [
      ...THREE.map((name) => first.start(name, THREE)),
      second.start('n2', ['n3', 'n2', 'n1']),
      second.start('n1', THREE),
    ];
    await first.run(300);
    await second.run(900);
    const facts = nodes.map(({ chain }) => chain.facts()!);
    expect(facts.slice(0, 3)).toEqual([facts[0], facts[0], facts[0]]);
    expect(nodes.every(({ chain }) => chain.confirmed())).toBe(true);
    expect(new Set(facts.map(({ ring }) => `${ring.clusterId} ${ring.hashSeed}`)).size).toBe(1);
  });

  it('does nothing without a majority', async () => {
    const bench = new Bench();
    const alone = bench.start('n1', THREE);
    await bench.run(5000);
    expect(alone.chain.facts()).toBeUndefined();
    expect(alone.chain.confirmed()).toBe(false);
  });

  it('goes on with a majority, and binds the missing founder when it comes', async () => {
    const bench = new Bench();
    const [one] = [bench.start('n1', THREE), bench.start('n2', THREE)];
    await bench.run(400);
    expect(one.chain.facts()).toBeUndefined();
    await bench.run(600);
    expect(memberOf(one, 'n3')).toMatchObject({ storageId: null, url: '' });
    const late = bench.start('n3', THREE);
    await bench.run(500);
    expect(memberOf(late, 'n3')).toMatchObject({
      storageId: diskId('n3'),
      state: 'active',
      url: 'http://n3',
      peer: 'n3.test:1',
    });
    expect(late.chain.confirmed()).toBe(true);
  });

  it('refuses a list without this node, unless the disk holds a ring', async () => {
    const bench = new Bench();
    expect(() => bench.start('n4', THREE)).toThrow(/n4, is not among them/);
    const only = bench.start('n1', ['n1']);
    await bench.run(50);
    only.stop();
    const again = bench.start('n1', ['n8', 'n9'], { boot: 2 });
    await bench.run(50);
    expect(again.chain.facts()?.epoch).toBe(1);
  });

  it('is not taken for one that happened twice when another cluster is met', async () => {
    const bench = new Bench();
    const [one, two] = [bench.start('n1', ['n1']), bench.start('n2', ['n2'])];
    await bench.run(50);
    bench.universe.hub.heal();
    await bench.run(200);
    const logged = bench.universe.errors.filter((line) => line.includes('foreign-founding'));
    expect(logged).toHaveLength(2);
    expect(logged.every((line) => line.includes('it belongs to another cluster with the same secret'))).toBe(true);
    expect([one, two].map(({ chain }) => chain.facts()?.epoch)).toEqual([1, 1]);
  });

  it('is logged by both sides when it happened twice, and neither follows the other', async () => {
    const bench = new Bench();
    const { hub } = bench.universe;
    const apart = [...THREE.map((name) => ['n1', name]), ...THREE.map((name) => ['n2', name])];
    for (const [a, b] of apart) hub.cut.add(`${a} ${b}`).add(`${b} ${a}`);
    for (const pair of ['n1 n2', 'n2 n1']) hub.cut.delete(pair);
    const [one, two] = [bench.start('n1', THREE), bench.start('n2', THREE)];
    await bench.run(1500);
    expect(one.chain.facts()?.epoch).toBe(1);
    // n2 loses its disk while n1 is away, and founds again with n3.
    two.stop();
    for (const pair of ['n1 n2', 'n2 n1']) hub.cut.add(pair);
    for (const pair of ['n2 n3', 'n3 n2']) hub.cut.delete(pair);
    const [wiped, three] = [bench.start('n2', THREE, { disk: 'n2 again' }), bench.start('n3', THREE)];
    await bench.run(1500);
    expect(three.chain.facts()?.epoch).toBe(1);
    const before = [one, wiped, three].map(({ chain }) => chain.facts());
    hub.heal();
    await bench.run(500);
    const logged = bench.universe.errors.filter((line) => line.includes('foreign-founding'));
    // Each side says it once, with the first epochs of both.
    expect(logged.map((line) => line.slice(0, 2)).toSorted()).toEqual(['n1', 'n2', 'n3']);
    expect(logged.every((line) => line.includes('founded from the same list of founders'))).toBe(true);
    expect(logged.every((line) => /"ownFirstEpoch":"[0-9a-f]{64}","foreignFirstEpoch":"[0-9a-f]{64}"/.test(line))).toBe(
      true,
    );

    await bench.finish(three.chain.propose(rename('x'), bench.universe.timeline.now + 500));
    hub.heartbeat(nodeId('n3'), 2);
    await bench.run(500);
    expect(three.chain.facts()?.epoch).toBe(2);
    expect(wiped.chain.facts()?.epoch).toBe(2);
    expect(one.chain.facts()).toEqual(before[0]);
  });
});

describe('a start', () => {
  async function founded(): Promise<{ bench: Bench; nodes: Running[] }> {
    const bench = new Bench();
    const nodes = THREE.map((name) => bench.start(name, THREE));
    await bench.run(300);
    return { bench, nodes };
  }

  it('with another disk puts nobody out who is there, and says so; it takes the place of one that has gone', async () => {
    const { bench, nodes } = await founded();
    const { hub } = bench.universe;
    const [one] = nodes;
    hub.here.add(`n3 ${diskId('n3')}`);
    const twin = bench.start('n3', THREE, { disk: 'n3 by mistake' });
    await bench.run(3000);
    expect(memberOf(one!, 'n3')?.storageId).toBe(diskId('n3'));
    expect(whyUnconfirmed(twin)).toMatch(/has yet to bind it to the present one: .*n3 is here, with the disk that/);
    hub.here.clear();
    await bench.run(3000);
    expect(memberOf(one!, 'n3')?.storageId).toBe(diskId('n3 by mistake'));
  });

  it('is not confirmed alone, and is with a second node', async () => {
    const { bench, nodes } = await founded();
    for (const node of nodes) node.stop();
    const one = bench.start('n1', THREE, { boot: 2 });
    await bench.run(3000);
    expect(one.chain.facts()?.epoch).toBe(1);
    expect(one.chain.confirmed()).toBe(false);
    expect(whyUnconfirmed(one)).toBe(
      'a majority of the cluster has not confirmed epoch 1 yet: n2 cannot be reached; n3 cannot be reached',
    );
    bench.start('n2', THREE, { boot: 2 });
    await bench.run(1500);
    expect(one.chain.confirmed()).toBe(true);
  });

  it('is confirmed as soon as it reaches a majority, however long it has been alone, also when its own disk is trusted only then', async () => {
    const { bench, nodes } = await founded();
    const { hub } = bench.universe;
    for (const other of ['n1', 'n3']) hub.cut.add(`n2 ${other}`).add(`${other} n2`);
    nodes[1]!.stop();
    nodes[2]!.stop();
    let trusted = false;
    const back = bench.start('n2', THREE, { boot: 2, backoffLongest: 3_600_000, trusted: () => trusted });
    await bench.run(8 * 3_600_000);
    expect(back.chain.confirmed()).toBe(false);
    hub.heal();
    await bench.run(20);
    expect(back.chain.confirmed()).toBe(false);
    trusted = true;
    await bench.run(300);
    expect(back.chain.confirmed()).toBe(true);
  });

  it('learns what was decided meanwhile before it is confirmed', async () => {
    const { bench, nodes } = await founded();
    nodes[2]!.stop();
    for (const name of ['a', 'b', 'c']) {
      expect(await bench.finish(nodes[0]!.chain.propose(rename(name), 10_000))).toMatchObject({ kind: 'decided' });
    }
    const back = bench.start('n3', [], { boot: 2 });
    expect(back.chain.facts()?.epoch).toBe(1);
    await bench.run(300);
    expect(back.chain.confirmed()).toBe(true);
    expect(back.chain.facts()).toEqual(nodes[0]!.chain.facts());
  });

  it('completes a proposal that may have been chosen before it is confirmed', async () => {
    const { bench, nodes } = await founded();
    const { hub } = bench.universe;
    // n3 is away; n1 decides with the vote of n2, which never hears that it was decided.
    nodes[2]!.stop();
    hub.inspect = (name, direction, body) => {
      if (name === 'consensus.accept' && direction === 'reply')
        for (const pair of ['n1 n2', 'n2 n1']) hub.cut.add(pair);
      return body;
    };
    const result = bench.finish(nodes[0]!.chain.propose(rename('a'), bench.universe.timeline.now + 400));
    expect((await result).kind).toBe('failed');
    nodes[0]!.stop();
    nodes[1]!.stop();
    hub.inspect = (_name, _direction, body) => body;
    hub.cut.clear();
    const again = ['n2', 'n3'].map((name) => bench.start(name, THREE, { boot: 2 }));
    await bench.run(1000);
    for (const { chain } of again) {
      expect(chain.confirmed()).toBe(true);
      expect(chain.facts()?.buckets.map(({ name }) => name)).toEqual(['a']);
    }
  });

  it('with an empty disk keeps name and place under the new disk, and is refilling', async () => {
    const { bench, nodes } = await founded();
    nodes[1]!.stop();
    const back = bench.start('n2', THREE, { disk: 'n2 new' });
    await bench.run(500);
    expect(memberOf(back, 'n2')).toMatchObject({ index: 1, storageId: diskId('n2 new'), state: 'refilling' });
    expect(back.chain.confirmed()).toBe(true);
    // What counted on the lost disk's promises is refused from this epoch on.
    const { epoch: now, ring } = back.chain.facts()!;
    const fences = ring.placements.flatMap(({ partitions }) => partitions.map(({ changedIn }) => changedIn));
    expect(new Set(fences)).toEqual(new Set([now]));
    back.stop();
    // The old disk turns up again: its place is taken.
    const old = bench.start('n2', THREE, { boot: 2 });
    await bench.run(1000);
    expect(memberOf(old, 'n2')?.storageId).toBe(diskId('n2 new'));
    expect(old.chain.confirmed()).toBe(false);
    expect(whyUnconfirmed(old)).toMatch(/has given this name to another data directory/);
    expect(bench.universe.errors.some((line) => line.startsWith('n2 superseded'))).toBe(true);
  });

  it('with an empty disk waits for the voters that are to bind it, and of two says that there is no majority', async () => {
    const { bench, nodes } = await founded();
    nodes[1]!.stop();
    nodes[2]!.stop();
    const back = bench.start('n2', THREE, { disk: 'n2 new' });
    await bench.run(500);
    expect(whyUnconfirmed(back)).toMatch(
      /^epoch 1 names another disk of n2, and a majority of the voters, n1, n2, n3, has yet to bind it to the present one: .*n3: unreachable/,
    );
    const pair = new Bench();
    const [first, second] = ['n1', 'n2'].map((name) => pair.start(name, ['n1', 'n2']));
    await pair.run(300);
    second!.stop();
    const empty = pair.start('n2', ['n1', 'n2'], { disk: 'n2 new' });
    await pair.run(3000);
    expect(empty.chain.confirmed()).toBe(false);
    expect(whyUnconfirmed(empty)).toMatch(
      /^epoch 1 names another disk of n2: put that one back, or.* quoral ring force --lost n2 at another member;/,
    );
    first!.stop();
    const again = pair.start('n1', ['n1', 'n2'], { boot: 2 });
    await pair.run(3000);
    expect(whyUnconfirmed(again)).toMatch(/: n2 has no vote with the disk that it has now$/);
  });

  it('tells the cluster its new client address', async () => {
    const { bench, nodes } = await founded();
    nodes[1]!.stop();
    bench.start('n2', THREE, { boot: 2, url: 'http://elsewhere' });
    await bench.run(500);
    expect(memberOf(nodes[0]!, 'n2')).toMatchObject({ url: 'http://elsewhere', state: 'active' });
  });

  it('refuses a disk whose rows are damaged', async () => {
    const { bench, nodes } = await founded();
    nodes[0]!.stop();
    for (const row of bench.media.get('n1')!.table('epochs').values()) row[row.length - 3]! ^= 1;
    expect(() => bench.start('n1', THREE, { boot: 2 })).toThrow(/table epochs.*checksum/);
  });
});

describe('a running chain', () => {
  async function three(): Promise<{ bench: Bench; nodes: Running[] }> {
    const bench = new Bench();
    const nodes = THREE.map((name) => bench.start(name, THREE));
    await bench.run(300);
    return { bench, nodes };
  }

  it('answers a change that changes nothing with the facts as they are, and a refusal with its reason', async () => {
    const { bench, nodes } = await three();
    const { chain } = nodes[0]!;
    expect(await bench.finish(chain.propose((facts) => facts, 5000))).toEqual({
      kind: 'decided',
      facts: chain.facts(),
    });
    expect(await bench.finish(chain.propose(() => ({ refused: 'why' }), 5000))).toEqual({
      kind: 'refused',
      reason: 'why',
    });
    expect(chain.facts()?.epoch).toBe(1);
  });

  it('does not wait for a majority that cannot be reached', async () => {
    const { bench, nodes } = await three();
    nodes[1]!.stop();
    nodes[2]!.stop();
    const began = bench.universe.timeline.now;
    const result = await bench.finish(nodes[0]!.chain.propose(rename('a'), began + 5000));
    expect(result).toMatchObject({ kind: 'failed', outcome: 'not-applied', votes: { needed: 2, got: 1 } });
    expect(bench.universe.timeline.now - began).toBeLessThan(100);
  });

  it('says of how many nobody could be asked any more when the time is over, or too many wait', async () => {
    const { bench, nodes } = await three();
    const { chain } = nodes[0]!;
    const nobody = { kind: 'failed', outcome: 'not-applied', votes: { needed: 2, got: 0 } };
    expect(await bench.finish(chain.propose(rename('a'), bench.universe.timeline.now))).toMatchObject(nobody);
    const many = Array.from({ length: 1100 }, async (_, i) => {
      // In the order of their names, as facts have them.
      return await chain.propose(rename(`b${1000 + i}`), 5000);
    });
    const results = await bench.finish(Promise.all(many));
    const waiting = results.filter((one) => one.kind === 'failed' && one.detail.includes('are waiting already'));
    expect(waiting.length).toBeGreaterThan(0);
    for (const one of waiting) expect(one).toMatchObject(nobody);
  });

  it('decides many changes that are asked for at once on all nodes', async () => {
    const { bench, nodes } = await three();
    const names = Array.from({ length: 30 }, (_, i) => `b${String(i).padStart(2, '0')}`);
    const results = names.map((name, i) => nodes[i % 3]!.chain.propose(inOrder(name), 60_000));
    for (const result of await bench.finish(Promise.all(results))) expect(result.kind).toBe('decided');
    await bench.run(200);
    for (const { chain } of nodes) expect(chain.facts()?.buckets.map(({ name }) => name)).toEqual(names);
  });

  it('waits until those that it reaches have installed an epoch, and names the others', async () => {
    const { bench, nodes } = await three();
    nodes[2]!.stop();
    const result = await bench.finish(nodes[0]!.chain.propose(rename('a'), 5000));
    expect(result.kind).toBe('decided');
    const missing = await bench.finish(nodes[0]!.chain.awaitInstalled(epoch(2), 5000));
    expect(missing).toEqual(['n3' as NodeId]);
    expect(nodes[1]!.chain.facts()?.epoch).toBe(2);
  });

  it('catches up when asked, with all callers served by one fetch', async () => {
    const { bench, nodes } = await three();
    const { hub } = bench.universe;
    let learned = 0;
    hub.inspect = (name, direction, body) => {
      if (name === 'consensus.learn' && direction === 'request') learned++;
      return body;
    };
    hub.cut.add('n1 n3').add('n3 n1');
    await bench.finish(nodes[0]!.chain.propose(rename('a'), 5000)).catch(() => undefined);
    hub.cut.clear();
    const late = Promise.all([1, 2, 3].map(() => nodes[2]!.chain.catchUp(epoch(2), bench.universe.timeline.now + 500)));
    expect(await bench.finish(late)).toEqual([true, true, true]);
    expect(learned).toBe(1);
    expect(await bench.finish(nodes[2]!.chain.catchUp(epoch(99), bench.universe.timeline.now + 100))).toBe(false);
  });

  it('lets a member learn that it was removed', async () => {
    const { bench, nodes } = await three();
    const remove = (facts: Facts): Facts => {
      const members = facts.ring.members.map((m) => (m.id === 'n3' ? { ...m, state: 'removed' as const } : m));
      const voters = facts.ring.voters.slice(0, 2);
      return { ...facts, epoch: epoch(facts.epoch + 1), ring: { ...facts.ring, members, voters, placements: [] } };
    };
    expect(await bench.finish(nodes[0]!.chain.propose(remove, 5000))).toMatchObject({ kind: 'decided' });
    await bench.run(100);
    expect(memberOf(nodes[2]!, 'n3')?.state).toBe('removed');
    expect(await bench.finish(nodes[2]!.chain.propose(rename('a'), 5000))).toMatchObject({
      outcome: 'not-applied',
      votes: { needed: 2, got: 0 },
    });
  });
});

const inOrder = (name: string) => (facts: Facts) => {
  const next = rename(name)(facts);
  return { ...next, buckets: next.buckets.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
};
