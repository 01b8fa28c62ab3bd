import { describe, expect, it } from 'vitest';
import { clusterId, epoch, nodeId, storageId } from '#kernel/identity.ts';
import type { NodeId } from '#kernel/identity.ts';
import { DEFINED_BUCKETS_MAX, defineBucket, freezeBucket } from '#buckets/change.ts';
import { DEFAULT_PROPERTIES } from '#buckets/definition.ts';
import { BucketDirectory } from '#buckets/directory.ts';
import type { Chain } from '#buckets/directory.ts';
import { fillDefaults } from '#buckets/schema.ts';
import type { Facts } from '#consensus/facts.ts';
import { foundRing } from '#ring/founding.ts';

function firstFacts(): Facts {
  const founders = ['n1', 'n2', 'n3', 'n4'].map((id, i) => ({
    id: nodeId(id),
    peer: `${id}:1`,
    url: '',
    zone: 'z',
    weight: 1,
    storageId: storageId(String(i).padStart(32, '0')),
  }));
  const ring = foundRing({
    clusterId: clusterId('ab'.repeat(16)),
    founders,
    partitionCount: 8,
    hashSeed: '12'.repeat(16),
  });
  return { epoch: epoch(1), ring, buckets: [], tokens: [] };
}

/** A chain that decides at once, unless told otherwise. */
class OneNodeChain implements Chain {
  current: Facts | undefined = firstFacts();
  readonly installs: number[] = [];
  missing: NodeId[] = [];
  reachable = true;
  /** Runs once, between the moment that a caller read the facts and the proposal. */
  meanwhile: (() => void) | undefined;
  failure: 'not-applied' | 'unknown' | undefined;

  facts(): Facts | undefined {
    return this.current;
  }

  propose: Chain['propose'] = async (change) => {
    this.meanwhile?.();
    this.meanwhile = undefined;
    if (this.failure !== undefined)
      return { kind: 'failed', outcome: this.failure, detail: 'no majority', votes: { needed: 2, got: 1 } };
    const next = change(this.current!);
    if ('refused' in next) return { kind: 'refused', reason: next.refused };
    if (next !== this.current) expect(next.epoch).toBe(this.current!.epoch + 1);
    this.current = next;
    return { kind: 'decided', facts: next };
  };

  awaitInstalled: Chain['awaitInstalled'] = async (wanted) => {
    this.installs.push(wanted);
    return this.missing;
  };

  reaches: Chain['reaches'] = () => this.reachable;
}

const never = (): Promise<boolean> => Promise.reject(new Error('must not be asked'));
const answers = (...list: boolean[]): (() => Promise<boolean>) => {
  return () => Promise.resolve(list.length > 1 ? list.shift()! : list[0]!);
};

function setup(): { chain: OneNodeChain; directory: BucketDirectory } {
  const chain = new OneNodeChain();
  return { chain, directory: new BucketDirectory(chain) };
}

describe('resolving a bucket', () => {
  it('gives the defaults for a bucket that nobody defined, also before the first epoch', () => {
    const { chain, directory } = setup();
    const expected = { name: 'b', incarnation: 0, version: 0, properties: DEFAULT_PROPERTIES };
    expect(directory.resolve('b')).toEqual(expected);
    chain.current = undefined;
    expect(directory.resolve('b')).toEqual(expected);
    expect(directory.list()).toEqual([]);
  });

  it('gives the same object again until the facts change', async () => {
    const { directory } = setup();
    await directory.define('a', { ttl: 5 }, never, 0);
    const [a, b] = [directory.resolve('a'), directory.resolve('b')];
    expect(directory.resolve('a')).toBe(a);
    expect(directory.resolve('b')).toBe(b);
    await directory.define('b', { ttl: 6 }, never, 0);
    expect(directory.resolve('b').properties.ttl).toBe(6);
  });

  it('remembers only so many undefined ones', () => {
    const { directory } = setup();
    const first = directory.resolve('b');
    for (let i = 0; i < 2000; i++) directory.resolve(`other-${i}`);
    expect(directory.resolve('b')).not.toBe(first);
    expect(directory.resolve('b')).toEqual(first);
  });
});

describe('defining a bucket', () => {
  it('decides it, waits for the members and shows it', async () => {
    const { chain, directory } = setup();
    const result = await directory.define('b', { w: 'all' }, never, 0);
    const bucket = { name: 'b', incarnation: 0, version: 2, properties: fillDefaults({ w: 'all' }) };
    expect(result).toEqual({ kind: 'applied', bucket });
    expect(chain.installs).toEqual([2]);
    expect(directory.list()).toEqual([bucket]);
    expect(directory.isDefined('b')).toBe(true);
  });

  it('replaces the whole definition, and decides nothing when it is the same', async () => {
    const { chain, directory } = setup();
    await directory.define('b', { w: 'all', ttl: 9 }, never, 0);
    await directory.define('b', { ttl: 9 }, never, 0);
    expect(directory.resolve('b').properties).toEqual(fillDefaults({ ttl: 9 }));
    await directory.define('b', { ttl: 9 }, never, 0);
    expect(chain.current!.epoch).toBe(3);
    expect(chain.installs).toEqual([2, 3, 3]);
  });

  it('adds an owner table for a new n in the epoch that defines it', async () => {
    const { chain, directory } = setup();
    await directory.define('b', { n: 2 }, answers(false), 0);
    const { placements } = chain.current!.ring;
    expect(placements.map(({ n }) => n)).toEqual([2, 3]);
    expect(placements[0]!.partitions).toHaveLength(8);
    for (const { owners, changedIn } of placements[0]!.partitions) {
      expect(owners).toHaveLength(2);
      expect(changedIn).toBe(3);
    }
    const table = placements[0];
    await directory.define('c', { n: 2 }, answers(false), 0);
    expect(chain.current!.ring.placements[0]).toBe(table);
  });

  it.each([{ conflicts: 'siblings' }, { consistency: 'strong' }, { type: 'set' }, { n: 1 }] as const)(
    'refuses to change %j while there are keys, names it and decides nothing',
    async (properties) => {
      const { chain, directory } = setup();
      const result = await directory.define('b', properties, answers(true), 0);
      const [name, asked] = Object.entries(properties)[0]!;
      const now = DEFAULT_PROPERTIES[name as keyof typeof properties];
      const detail = `${name} is fixed while bucket b holds keys: it is ${now}, and ${asked} in this definition, where what is left out has its default; deleted keys count until they are cleared away, or the bucket is dropped`;
      expect(result).toEqual({ kind: 'refused', reason: 'conflict', property: Object.keys(properties)[0], detail });
      expect(chain.current!.epoch).toBe(1);
    },
  );

  it('serves the bucket again as it was when a key slipped in', async () => {
    const { chain, directory } = setup();
    const first = await directory.define('b', { conflicts: 'siblings' }, answers(false, true), 0);
    expect(first).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(directory.isDefined('b')).toBe(false);
    const now = directory.resolve('b');
    expect(now).toEqual({ name: 'b', incarnation: 0, version: 3, properties: DEFAULT_PROPERTIES });
    await directory.define('b', { ttl: 7 }, never, 0);
    const second = await directory.define('b', { ttl: 8, type: 'set' }, answers(false, true), 0);
    expect(second).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(directory.resolve('b').properties).toEqual(fillDefaults({ ttl: 7 }));
    expect(chain.installs).toEqual([2, 3, 4, 5, 6]);
  });

  it('serves nothing while it finds out whether there are keys, and shows what holds until then', async () => {
    const { directory } = setup();
    await directory.define('b', { ttl: 7 }, never, 0);
    const seen: unknown[] = [];
    const look = async (): Promise<boolean> => {
      const { frozen = false, properties } = directory.resolve('b');
      seen.push([frozen, properties.type, properties.ttl]);
      return false;
    };
    await directory.define('b', { type: 'set' }, look, 0);
    expect(seen).toEqual([
      [false, 'value', 7],
      [true, 'value', 7],
    ]);
    expect(directory.resolve('b')).toMatchObject({ version: 4, properties: { type: 'set', ttl: null } });
    expect(directory.resolve('b').frozen).toBeUndefined();
  });

  it('is served again when the same definition comes once more after a stop in between', async () => {
    const { chain, directory } = setup();
    const stopped = freezeBucket(chain.current!, 'b', epoch(0));
    chain.current = 'refused' in stopped ? undefined : stopped;
    expect(directory.resolve('b').frozen).toBe(true);
    expect((await directory.define('b', {}, never, 0)).kind).toBe('applied');
    expect(directory.resolve('b').frozen).toBeUndefined();
  });

  it('says what is known when it cannot be told whether there are keys', async () => {
    const { chain, directory } = setup();
    const votes = { needed: 3, got: 2 };
    const detail = 'whether bucket b holds keys cannot be told now: n2 is silent';
    const unclear = () => Promise.resolve({ detail: 'n2 is silent', votes });
    const result = await directory.define('b', { n: 1 }, unclear, 0);
    expect(result).toEqual({ kind: 'failed', outcome: 'not-applied', detail, votes });
    // As when this node itself cannot read what it has; of the others nobody was asked.
    const unread = (): Promise<boolean> => Promise.reject(new Error('n2 is silent'));
    const unable = await directory.define('b', { n: 1 }, unread, 0);
    expect(unable).toEqual({ kind: 'failed', outcome: 'not-applied', detail, votes: { needed: 1, got: 0 } });
    expect(chain.current!.epoch).toBe(1);
  });

  it('asks again when the definition has changed since it looked', async () => {
    const { chain, directory } = setup();
    chain.meanwhile = () => {
      const next = defineBucket(chain.current!, 'b', fillDefaults({ type: 'set' }), epoch(0));
      if (!('refused' in next)) chain.current = next;
    };
    let asked = 0;
    const holdsKeys = (): Promise<boolean> => Promise.resolve(++asked > 1);
    const result = await directory.define('b', { type: 'map' }, holdsKeys, 0);
    expect(result).toMatchObject({ kind: 'refused', reason: 'conflict' });
    expect(directory.resolve('b').properties.type).toBe('set');
  });

  it('does not undo the same definition of somebody else', async () => {
    const { chain, directory } = setup();
    chain.meanwhile = () => {
      const next = defineBucket(chain.current!, 'b', fillDefaults({ type: 'set' }), epoch(0));
      if (!('refused' in next)) chain.current = next;
    };
    const result = await directory.define('b', { type: 'set' }, answers(false, true), 0);
    expect(result.kind).toBe('applied');
    expect(directory.resolve('b').properties.type).toBe('set');
  });

  it('is not acknowledged before every member that can be reached has it', async () => {
    const { chain, directory } = setup();
    chain.missing = [nodeId('n3')];
    expect(await directory.define('b', { ttl: 1 }, never, 0)).toMatchObject({
      kind: 'failed',
      outcome: 'unknown',
      detail: expect.stringContaining('n3'),
      votes: { needed: 4, got: 3 },
    });
    chain.reachable = false;
    expect(await directory.define('b', { ttl: 1 }, never, 0)).toMatchObject({ kind: 'applied' });
  });

  it('passes on what the chain knows of a failure', async () => {
    const { chain, directory } = setup();
    chain.failure = 'unknown';
    const failure = { kind: 'failed', outcome: 'unknown', detail: 'no majority', votes: { needed: 2, got: 1 } };
    expect(await directory.define('b', { ttl: 1 }, never, 0)).toEqual(failure);
    expect(await directory.drop('b', 0)).toEqual(failure);
  });

  it('is bounded in number', async () => {
    const { chain, directory } = setup();
    const rows = Array.from({ length: DEFINED_BUCKETS_MAX }, (_, i) => ({
      name: `b${String(i).padStart(5, '0')}`,
      incarnation: 0,
      version: epoch(1),
      dropped: false,
      properties: {},
    }));
    chain.current = { ...chain.current!, buckets: rows };
    expect(await directory.define('one-more', { ttl: 1 }, never, 0)).toMatchObject({ reason: 'too-many-buckets' });
    expect(await directory.define('b00007', { ttl: 1 }, never, 0)).toMatchObject({ kind: 'applied' });
    expect(await directory.drop('b00007', 0)).toMatchObject({ kind: 'applied' });
    expect(await directory.define('one-more', { ttl: 1 }, never, 0)).toMatchObject({ kind: 'applied' });
  });
});

describe('dropping a bucket', () => {
  it('begins a new incarnation with the defaults, each time', async () => {
    const { chain, directory } = setup();
    await directory.define('b', { ttl: 1 }, never, 0);
    const dropped = { name: 'b', incarnation: 1, version: 3, properties: DEFAULT_PROPERTIES };
    expect(await directory.drop('b', 0)).toEqual({ kind: 'applied', bucket: dropped });
    expect(directory.isDefined('b')).toBe(false);
    expect(directory.list()).toEqual([]);
    await directory.define('b', { ttl: 2 }, never, 0);
    expect(directory.resolve('b')).toMatchObject({ incarnation: 1, version: 4 });
    await directory.drop('b', 0);
    expect(directory.resolve('b').incarnation).toBe(2);
    expect(chain.installs).toEqual([2, 3, 4, 5]);
  });

  it('works on one that nobody defined, for it may hold data', async () => {
    const { directory } = setup();
    expect(await directory.drop('b', 0)).toMatchObject({ kind: 'applied', bucket: { incarnation: 1, version: 2 } });
  });
});
