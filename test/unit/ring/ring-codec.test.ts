import { expect, test } from 'vitest';
import fc from 'fast-check';
import { pack, unpack } from 'msgpackr';
import { epoch, nodeIndex, storageId } from '#kernel/identity.ts';
import { fillPlacement } from '#ring/placement.ts';
import { ringFromWire, ringToWire } from '#ring/ring-codec.ts';
import type { Ring } from '#ring/ring.ts';
import { MEMBER_STATES } from '#ring/ring.ts';
import { SEED, anyMembers, member, ringOf } from './rings.ts';

const SMALL: Ring = {
  clusterId: ringOf(['a']).clusterId,
  partitionCount: 4,
  hashSeed: SEED,
  members: [
    member(0, { storageId: storageId('0'.repeat(32)), url: 'http://127.0.0.1:7101' }),
    member(2, { zone: 'z2', weight: 1.5, state: 'leaving' }),
    member(5, { state: 'removed' }),
  ],
  voters: [nodeIndex(0), nodeIndex(2)],
  placements: [
    {
      n: 2,
      partitions: [
        { owners: [0, 2].map(nodeIndex), changedIn: epoch(1) },
        { owners: [2, 0].map(nodeIndex), changedIn: epoch(1) },
        { owners: [2].map(nodeIndex), changedIn: epoch(7) },
        { owners: [0, 2].map(nodeIndex), changedIn: epoch(1) },
      ],
    },
  ],
};

test('golden form', () => {
  expect(ringToWire(SMALL)).toEqual([
    SMALL.clusterId,
    4,
    '000102030405060708090a0b0c0d0e0f',
    [
      [0, 'n0', '00000000000000000000000000000000', '127.0.0.1:7200', 'http://127.0.0.1:7101', 'z1', 1, 'active'],
      [2, 'n2', null, '127.0.0.1:7202', '', 'z2', 1.5, 'leaving'],
      [5, 'n5', null, '127.0.0.1:7205', '', 'z1', 1, 'removed'],
    ],
    [0, 2],
    [[2, [2, 2, 1, 1, 2, 1], [0, 2, 2, 0, 2, 0, 2], [1, 2, 7, 1, 1, 1]]],
  ]);
  expect(ringFromWire(ringToWire(SMALL))).toEqual(SMALL);
});

test('any ring comes back through msgpack', () => {
  fc.assert(
    fc.property(
      anyMembers,
      fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
      fc.constantFrom(1, 8, 64),
      (members, ns, partitionCount) => {
        const placements = ns
          .toSorted((a, b) => a - b)
          .map((n) => fillPlacement(members, n, partitionCount, epoch(2 ** 40 + n)));
        const voters = members.slice(0, 7).map((one) => one.index);
        const ring = { ...SMALL, members, voters, partitionCount, placements };
        expect(ringFromWire(unpack(pack(ringToWire(ring))))).toEqual(ring);
      },
    ),
  );
});

test('the ring of a usual cluster is small', () => {
  expect(pack(ringToWire(ringOf(['a', 'b', 'c']))).length).toBeLessThan(1100);
});

/** Replaces what stands at a path in the wire form. */
function altered(path: readonly number[], value: unknown): unknown {
  const body = structuredClone(ringToWire(SMALL)) as unknown[];
  let target = body;
  for (const step of path.slice(0, -1)) target = target[step] as unknown[];
  target[path.at(-1)!] = value;
  return body;
}

test('additions of later versions are ignored', () => {
  expect(ringFromWire(altered([3, 0, 8], 'more'))).toEqual(SMALL);
  const moving = ringToWire(MOVING) as unknown[];
  const lastChange = { id: 'fedcba9876543210', outcome: 'done' as const };
  const after = { ...MOVING, lastChange };
  expect(ringFromWire([...(ringToWire(after) as unknown[]), 'more'])).toEqual(after);
  const placements = moving[5] as unknown[][];
  expect(ringFromWire(moving.with(5, [[...placements[0]!, 'more']]))).toEqual(MOVING);
});

/** The first partition on its way. */
const MOVING: Ring = {
  ...SMALL,
  placements: SMALL.placements.map(({ n, partitions }) => ({
    n,
    partitions: partitions.map((entry, p) =>
      p > 0 ? entry : { ...entry, move: { stage: 'dual' as const, others: [...entry.owners].reverse() } },
    ),
  })),
  change: {
    id: '0123456789abcdef',
    state: 'running',
    moves: 7,
    ...{ keys: 40, bytes: 5000, throttle: 2_000_000 },
    comes: [SMALL.members[0]!.index],
    goes: [SMALL.members[1]!.index],
  },
};

test('what moves is part of the wire format, and a ring in which nothing moves has the bytes that it always had', () => {
  expect(ringFromWire(ringToWire(MOVING))).toEqual(MOVING);
  const [still, moving] = [ringToWire(SMALL) as unknown[], ringToWire(MOVING) as unknown[]];
  expect(still.length).toBe(6);
  expect(moving.slice(6)).toEqual([['0123456789abcdef', 'running', 7, [0], [2], 40, 5000, 2_000_000]]);
  expect((moving[5] as unknown[][])[0]!.slice(4)).toEqual([
    [[0, 'dual', [...SMALL.placements[0]!.partitions[0]!.owners].reverse()]],
  ]);
  const wrong = (move: unknown): unknown => moving.with(5, [(moving[5] as unknown[][])[0]!.with(4, [move])]);
  expect(() => ringFromWire(wrong([0, 'sideways', [0]]))).toThrow(
    'stage of partition 0: planned, dual, read-new, offload',
  );
  expect(() => ringFromWire(wrong([99_999, 'dual', [0]]))).toThrow('partition of a move');
  expect(() => ringFromWire(wrong([0, 'dual', []]))).toThrow('other owners of partition 0');
  expect(() => ringFromWire(wrong([0, 'dual', [77]]))).toThrow('other owner of partition 0');
  const owing = [0, 'dual', [0], [2]];
  const read = ringFromWire(wrong(owing));
  expect(read.placements[0]!.partitions[0]!.move).toEqual({ stage: 'dual', others: [0], owed: [2] });
  expect((ringToWire(read) as unknown[][][])[5]![0]![4]).toEqual([owing]);
  expect(() => ringFromWire(wrong([0, 'dual', [0], []]))).toThrow('former owners of partition 0');
  expect(() => ringFromWire(wrong([0, 'dual', [0], [2, 2]]))).toThrow('former owners of partition 0');
});

test('how fast, and what came of the last change, are part of the wire format', () => {
  const { change, ...still } = MOVING;
  const { throttle: _, ...unsaid } = change!;
  const lastChange = { id: 'fedcba9876543210', outcome: 'aborted' as const };
  const wire = (ring: Ring): unknown[] => (ringToWire(ring) as unknown[]).slice(6);
  expect(wire({ ...MOVING, change: unsaid, lastChange })).toEqual([
    ['0123456789abcdef', 'running', 7, [0], [2], 40, 5000, -1],
    ['fedcba9876543210', 'aborted'],
  ]);
  expect(wire({ ...MOVING, change: { ...unsaid, throttle: null } })).toEqual([
    ['0123456789abcdef', 'running', 7, [0], [2], 40, 5000, 0],
  ]);
  const lost = { ...unsaid, lost: [SMALL.members[1]!.index] };
  expect(wire({ ...MOVING, change: lost })).toEqual([['0123456789abcdef', 'running', 7, [0], [2], 40, 5000, -1, [2]]]);
  expect(wire({ ...still, lastChange })).toEqual([null, ['fedcba9876543210', 'aborted']]);
  for (const ring of [
    { ...MOVING, change: unsaid, lastChange },
    { ...MOVING, change: { ...unsaid, throttle: null } },
    { ...MOVING, change: lost },
    { ...still, lastChange },
  ]) {
    expect(ringFromWire(ringToWire(ring))).toEqual(ring);
  }
  const first = (ringToWire({ ...MOVING, lastChange }) as unknown[]).slice(0, 7);
  expect(() => ringFromWire([...first, ['fedcba9876543210', 'lost']])).toThrow(
    'outcome of the last change: done, aborted',
  );
});

test('what is put back when a change is taken back is part of the wire format, behind those that are lost', () => {
  const { throttle: _, ...unsaid } = MOVING.change!;
  const before = {
    members: [{ index: nodeIndex(2), zone: 'z1', weight: 0.5 }],
    orders: [{ n: 2, partition: 3, owners: [2, 0].map(nodeIndex) }],
  };
  const lost = [nodeIndex(2)];
  const wire = ringToWire({ ...MOVING, change: { ...unsaid, before } }) as unknown[];
  const change = ['0123456789abcdef', 'running', 7, [0], [2], 40, 5000, -1];
  expect(wire[6]).toEqual([...change, [], [[[2, 'z1', 0.5]], [[2, 3, [2, 0]]]]]);
  for (const one of [
    { ...unsaid, before },
    { ...unsaid, before, lost },
    { ...unsaid, before: { members: [], orders: [] } },
  ]) {
    expect(ringFromWire(ringToWire({ ...MOVING, change: one }))).toEqual({ ...MOVING, change: one });
  }
  const wrong = (form: unknown): unknown => wire.with(6, [...change, [], form]);
  for (const [form, message] of [
    ['x', 'what was before the change: a list'],
    [[[]], 'what was before the change: a list of at least 2'],
    [[[[2, 'z1']], []], 'member before the change: a list of at least 3'],
    [[[[-1, 'z1', 1]], []], 'member before the change: a whole number'],
    [[[[2, 7, 1]], []], 'zone before the change: text'],
    [[[[2, 'z1', 0]], []], 'weight before the change: above 0'],
    [[[], [[8, 0, [0]]]], 'replication factor before the change'],
    [[[], [[2, -1, [0]]]], 'partition before the change'],
    [[[], [[2, 0, []]]], 'owners before the change'],
    [[[], [[2, 0, ['a']]]], 'member before the change: a whole number'],
  ] as const) {
    expect(() => ringFromWire(wrong(form)), JSON.stringify(form)).toThrow(message);
  }
});

test.each<[string, readonly number[], unknown, string]>([
  ['cluster id', [0], 'xyz', 'cluster id'],
  ['partition count of zero', [1], 0, 'partition count'],
  ['partition count not a power of two', [1], 6, 'a power of two'],
  ['partition count too large', [1], 32_768, 'partition count'],
  ['partition count other than the table has', [1], 8, 'list lengths'],
  ['hash seed', [2], 'A'.repeat(32), 'hash seed'],
  ['no members', [3], [], 'members'],
  ['members not a list', [3], {}, 'members: a list'],
  ['members out of order', [3, 0, 0], 3, 'member indexes'],
  ['member index too large', [3, 2, 0], 65_536, 'index of member n5'],
  ['node id', [3, 0, 1], 'a b', 'node id'],
  ['node id twice', [3, 1, 1], 'n0', 'member ids'],
  ['storage id', [3, 0, 2], 'x', 'storage id'],
  ['storage id twice', [3, 2, 2], '0'.repeat(32), 'storage ids'],
  ['peer too long', [3, 0, 3], 'x'.repeat(513), 'peer of member n0'],
  ['url not text', [3, 0, 4], 5, 'url of member n0'],
  ['zone not text', [3, 0, 5], null, 'zone of member n0'],
  ['weight of zero', [3, 0, 6], 0, 'weight of member n0'],
  ['weight not finite', [3, 0, 6], Number.POSITIVE_INFINITY, 'weight of member n0'],
  ['unknown state', [3, 0, 7], 'gone', `state of member n0: ${MEMBER_STATES.join(', ')}, found "gone"`],
  ['member too short', [3, 0], [0, 'n0'], 'member 0'],
  ['no voters', [4], [], 'voters'],
  ['voters out of order', [4], [2, 0], 'voters: sorted'],
  ['a voter twice', [4], [0, 0], 'voters: sorted'],
  ['unknown voter', [4], [0, 3], 'voter 1'],
  ['removed voter', [4], [0, 5], 'voter 1'],
  ['replication factor', [5, 0, 0], 8, 'replication factor'],
  ['owners beyond n', [5, 0, 1], [3, 4], 'list lengths'],
  ['lists for too many partitions', [5, 0, 1], [2, 1e9], 'list lengths: times'],
  ['lists for too few partitions', [5, 0, 1], [2, 3], 'list lengths: one for each of 4'],
  ['runs of odd length', [5, 0, 1], [2, 2, 1, 1, 2], 'list lengths: times'],
  ['owner twice', [5, 0, 2, 1], 0, 'owners of partition 0: each once'],
  ['unknown owner', [5, 0, 2, 6], 1, 'owner of partition 3'],
  ['removed owner', [5, 0, 2, 6], 5, 'owner of partition 3'],
  ['owners missing', [5, 0, 2], [0, 2, 2, 0, 2, 0], 'owners of partition 3'],
  ['owners too many', [5, 0, 2, 7], 0, '7 in all'],
  ['epoch below zero', [5, 0, 3, 0], -1, 'changed in'],
  ['epoch with a fraction', [5, 0, 3, 0], 1.5, 'changed in'],
])('refused: %s', (_, path, value, message) => {
  const read = () => ringFromWire(altered(path, value));
  expect(read).toThrow(RangeError);
  expect(read).toThrow(message);
});

test('the same replication factor twice is refused', () => {
  const placement = (ringToWire(SMALL) as unknown[][])[5]![0];
  expect(() => ringFromWire(altered([5, 1], placement))).toThrow('replication factors');
});

test('whatever arrives is read or refused with a RangeError', () => {
  const paths = [
    [0],
    [1],
    [3],
    [3, 0],
    [3, 1, 0],
    [3, 1, 7],
    [4],
    [4, 0],
    [5],
    [5, 0],
    [5, 0, 1],
    [5, 0, 1, 1],
    [5, 0, 2],
    [5, 0, 3],
  ];
  fc.assert(
    fc.property(fc.constantFrom(...paths), fc.anything(), (path, value) => {
      for (const body of [altered(path, value), value]) {
        let error: unknown = new RangeError('none');
        try {
          ringFromWire(body);
        } catch (thrown) {
          error = thrown;
        }
        expect(error).toBeInstanceOf(RangeError);
      }
    }),
    { numRuns: 1000 },
  );
});
