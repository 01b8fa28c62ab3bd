import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { joinStates } from '#causality/join.ts';
import { EMPTY_STATE, type State } from '#causality/state.ts';
import { InPlaceActors } from '#handoff/in-place-actors.ts';
import { encodeState } from '#causality/state-codec.ts';
import { mintInPlace, type InPlaceRequest, type MintedInPlace } from '#handoff/mint-in-place.ts';
import { hintKey } from '#handoff/tables.ts';
import { epoch } from '#kernel/identity.ts';
import { utf8 } from '#kernel/bytes.ts';
import { Floors } from '#replica/floors.ts';
import { FLOORS } from '#replica/tables.ts';
import { TooManySiblings } from '#replica/refusals.ts';
import { digest } from '#world/digest.ts';
import { contentOf, dot } from '../causality/examples.ts';
import { decoded, Holder, HOLDER, nameFor, OWNERS, RING } from './holder.ts';

const [A, B] = [OWNERS[0]!, OWNERS[1]!];
const SCOPE = { epoch: epoch(3), n: 3, partition: 0, bucket: 'b', incarnation: 0, definition: epoch(0) };

let holder: Holder;
let tenure: number;
let actors: InPlaceActors;
let siblingsMax: number;

beforeEach(() => {
  holder = new Holder();
  tenure = 1000;
  actors = new InPlaceActors();
  siblingsMax = 3;
});

function write(
  text: string,
  change: Partial<InPlaceRequest> = {},
  send: (minted: MintedInPlace) => void = () => undefined,
): Promise<MintedInPlace> {
  const options = {
    table: holder.table,
    actors,
    replica: { tenureForOnce: () => tenure++, floors: new Floors(holder.process.disk, () => false) },
    knowledge: holder.facts.knowledge(),
    clock: holder.clock,
    now: () => 0,
    checksum: digest.crc32,
    limits: { siblingsMax, entriesMax: 10, stateBytesMax: 10_000 },
  };
  const request = {
    scope: SCOPE,
    key: utf8('k'),
    owners: [A],
    content: contentOf(text),
    operating: null,
    context: [],
    expiresAt: 0,
    durable: true,
    after: 0,
    stillWanted: () => true,
    ...change,
  };
  return holder.machine.simulation.settle(mintInPlace(options, request, send));
}

function texts({ versions }: State): readonly string[] {
  return versions.map(({ content }) => String.fromCharCode(...content!.value)).toSorted();
}

test('what waits already is built upon, as the same actor: the vector does not grow with each write', async () => {
  const first = await write('one');
  const second = await write('two');
  expect(first.dot.node).toBe(HOLDER.index);
  expect(second.dot.tenure).toBe(first.dot.tenure);
  expect(texts(second.state)).toEqual(['one', 'two']);
  const kept = holder.table.read(hintKey(nameFor(A, 'k')))!;
  expect(kept).toMatchObject({ sole: true });
  expect(decoded(kept.state!)).toEqual(second.state);
  let last = second;
  for (let i = 0; i < 100; i++) last = await write('more', { context: last.state.vector });
  expect(last.state.vector).toHaveLength(1);
  expect((await write('other', { key: utf8('other') })).dot.tenure).not.toBe(first.dot.tenure);
});

test('after the hint was handed over, the next write erases nothing at the owner that it has not seen', async () => {
  const first = await write('one');
  const row = hintKey(nameFor(A, 'k'));
  await holder.machine.simulation.settle(holder.table.forget(row, holder.table.read(row)!.revision));
  const second = await write('two');
  expect(second.dot.tenure).not.toBe(first.dot.tenure);
  const atOwner = joinStates(joinStates(EMPTY_STATE, first.state, 'siblings'), second.state, 'siblings');
  expect(texts(atOwner)).toEqual(['one', 'two']);
});

type Step = 'write' | 'write, and the disk is full' | 'hand over' | 'a copy comes back' | 'another process';
const STEPS: readonly Step[] = [
  'write',
  'write, and the disk is full',
  'hand over',
  'a copy comes back',
  'another process',
];

test('whatever becomes of the hints in between, no blind write is lost', async () => {
  const steps = fc.array(fc.constantFrom(...STEPS), { minLength: 2, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      holder = new Holder();
      actors = new InPlaceActors();
      siblingsMax = 100;
      const row = hintKey(nameFor(A, 'k'));
      // All that anybody was given, in order.
      const given: State[] = [];
      const written: string[] = [];
      const kept = (): State => decoded(holder.table.read(row)?.state ?? encodeState(EMPTY_STATE, digest.crc32));
      for (const step of history) {
        const text = String.fromCharCode(97 + written.length);
        if (step === 'write') {
          await write(text);
          written.push(text);
        } else if (step === 'write, and the disk is full') {
          holder.machine.medium.capacityBytes = 1;
          // It is sent, unless the disk refuses it before it is minted.
          const send = ({ state }: { readonly state: State }): void => {
            given.push(state);
            written.push(text);
          };
          await write(text, {}, send).catch(() => undefined);
          holder.machine.medium.capacityBytes = Infinity;
        } else if (step === 'hand over') {
          given.push(kept());
          await holder.machine.simulation.settle(holder.table.forget(row, holder.table.read(row)?.revision ?? 0));
        } else if (step === 'a copy comes back') {
          const [copy] = given;
          if (copy !== undefined) await holder.store(A, 'k', encodeState(copy, digest.crc32));
        } else actors = new InPlaceActors();
      }
      const all = [...given, kept()].reduce((a, b) => joinStates(a, b, 'siblings'), EMPTY_STATE);
      expect(texts(all)).toEqual(written);
    }),
  );
});

test('what the client has seen is replaced, and one write may wait for several owners', async () => {
  const first = await write('one', { owners: [A, B] });
  const second = await write('two', { owners: [A, B], context: first.state.vector });
  expect(texts(second.state)).toEqual(['two']);
  for (const owner of [A, B]) {
    expect(decoded(holder.table.read(hintKey(nameFor(owner, 'k')))!.state!)).toEqual(second.state);
  }
});

test('what was read for it before tombstones were given up may be dead since, and is kept for nobody', async () => {
  const floor = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 100);
  const { disk } = holder.process;
  disk.commit((transaction) => transaction.put(FLOORS, Uint8Array.of(3, 0, 0), floor));
  const read = { vector: [dot(1, 50)], versions: [] };
  const operation = { kind: 'add', values: ['1'] } as const;
  const from = (origin: number) => ({ content: null, operating: { operation, base: { state: read, origin } } });
  await expect(write('', from(100))).rejects.toThrow('tombstones were given up');
  expect(holder.table.read(hintKey(nameFor(A, 'k')))).toBeUndefined();
  expect((await write('', from(101))).state.versions).toHaveLength(1);
});

test('it is refused: too many siblings, no tenure, too late, by an owner', async () => {
  for (const text of ['a', 'b', 'c']) await write(text);
  await expect(write('d')).rejects.toThrow(TooManySiblings);
  await expect(write('d', { stillWanted: () => false })).rejects.toThrow('deadline');
  holder.facts.ring = {
    ...RING,
    placements: RING.placements.map((p) => ({
      ...p,
      partitions: p.partitions.map((o) => ({ ...o, owners: [HOLDER.index] })),
    })),
  };
  await expect(write('d')).rejects.toThrow('stands in for nobody');
  expect(texts(decoded(holder.table.read(hintKey(nameFor(A, 'k')))!.state!))).toEqual(['a', 'b', 'c']);
});
