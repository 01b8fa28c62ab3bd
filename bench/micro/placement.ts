/**
 * How good owner tables are and what they cost: `npm run bench:placement`.
 *
 * Random histories of joins, departures, weights and zones: the fullest member against the mean (each by its weight's fair
 * share), and moves against the fewest that the shares demand. Beside it the older scheme, 150 random tokens a node, on
 * histories of the same sizes. Then the time of one join for clusters of several sizes.
 */

import { epoch, nodeId, nodeIndex, type NodeIndex } from '#kernel/identity.ts';
import { claim } from '#ring/claim.ts';
import { fillPlacement, placeableMembers } from '#ring/placement.ts';
import type { Member } from '#ring/ring.ts';
import { zoneShares } from '#ring/zone-shares.ts';

type Rows = readonly (readonly NodeIndex[])[];

const N = 3;
const TOKENS = 150;
const HISTORIES = Number(process.argv[2] ?? 1000);

/** Mulberry32: small, seeded, good enough to draw histories. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

function member(index: number, zone: number, weight: number): Member {
  const id = nodeId(`n${index}`);
  return { index: nodeIndex(index), id, storageId: null, peer: '', url: '', zone: `z${zone}`, weight, state: 'active' };
}

function owned(rows: Rows): Map<NodeIndex, number> {
  const counts = new Map<NodeIndex, number>();
  for (const index of rows.flat()) counts.set(index, (counts.get(index) ?? 0) + 1);
  return counts;
}

interface Quality {
  /** The fullest member's part over its fair part. */
  readonly fullest: number;
  /** Partitions by which the farthest member is off its exact share. */
  readonly moves: number;
  readonly least: number;
}

function oneHistory(seed: number, withZones: boolean): Quality[] {
  const below = generator(seed);
  const partitions = 64 << below(4);
  const zone = (): number => (withZones ? 1 + below(1 + (seed % 5)) : 1);
  const weight = (): number => (withZones ? 1 + below(3) : 1);
  let members = Array.from({ length: 3 + below(10) }, (_, i) => member(i, zone(), weight()));
  let rows: Rows = fillPlacement(members, N, partitions, epoch(1)).partitions.map(({ owners }) => owners);
  return Array.from({ length: 5 }, () => {
    const active = placeableMembers(members);
    if (below(3) === 0 && active.length > N + 1) {
      const { index } = active[below(active.length)]!;
      members = members.map((one) => (one.index === index ? { ...one, state: 'leaving' } : one));
    } else members = [...members, member(members.length, zone(), weight())];
    const before = owned(rows);
    const next = claim(members, N, rows);
    const shares = zoneShares(placeableMembers(members), N, partitions, (index) => before.get(index) ?? 0);
    const all = shares.flatMap((group) => group.members);
    const weights = new Map(members.map((one) => [one.index, one.weight]));
    const total = placeableMembers(members).reduce((sum, one) => sum + one.weight, 0);
    const counts = owned(next.rows);
    const fullest = Math.max(
      ...all.map(({ index }) => ((counts.get(index) ?? 0) * total) / (N * partitions * weights.get(index)!)),
    );
    const least = all.reduce((sum, { index, share }) => sum + Math.max(0, share - (before.get(index) ?? 0)), 0);
    ({ rows } = next);
    return { fullest, moves: next.moves.length, least };
  });
}

/** The part of the ring that the fullest of `size` nodes replicates, over the mean, with random tokens. */
function fullestWithTokens(seed: number, size: number): number {
  const below = generator(seed);
  const tokens = Array.from({ length: size * TOKENS }, (_, i) => ({ at: below(2 ** 32), node: i % size }));
  tokens.sort((a, b) => a.at - b.at);
  const load = Array.from({ length: size }, () => 0);
  for (const [i, { at }] of tokens.entries()) {
    const width = (at - tokens.at(i - 1)!.at + 2 ** 32) % 2 ** 32;
    const replicas = new Set<number>();
    for (let step = 0; replicas.size < Math.min(N, size); step++)
      replicas.add(tokens[(i + step) % tokens.length]!.node);
    for (const node of replicas) load[node]! += width;
  }
  return (Math.max(...load) * size) / (N * 2 ** 32);
}

function line(name: string, fullest: readonly number[], qualities: readonly Quality[]): void {
  const sorted = fullest.toSorted((a, b) => a - b);
  const at = (part: number): string => sorted[Math.floor((sorted.length - 1) * part)]!.toFixed(3);
  const moves = qualities.reduce((sum, quality) => sum + quality.moves, 0);
  const least = qualities.reduce((sum, quality) => sum + quality.least, 0);
  const ratio = qualities.length === 0 ? '-' : (moves / least).toFixed(4);
  const exact = qualities.filter((quality) => quality.moves === quality.least).length;
  const share = qualities.length === 0 ? '-' : `${((exact / qualities.length) * 100).toFixed(1)} %`;
  console.log(`| ${name} | ${at(0.5)} | ${at(0.99)} | ${at(1)} | ${ratio} | ${share} |`);
}

console.log(`${HISTORIES} histories of five changes each, n=${N}, 64-512 partitions, 3-12 nodes at first\n`);
console.log('| scheme | fullest/fair p50 | p99 | worst | moves/fewest | steps at the fewest |');
console.log('| --- | ---: | ---: | ---: | ---: | ---: |');
for (const withZones of [false, true]) {
  const qualities = Array.from({ length: HISTORIES }, (_, seed) => oneHistory(seed, withZones)).flat();
  const name = withZones ? 'claim, 1-5 zones, weights 1-3' : 'claim, equal nodes';
  line(
    name,
    qualities.map(({ fullest }) => fullest),
    qualities,
  );
}
const tokens = Array.from({ length: HISTORIES }, (_, seed) => fullestWithTokens(seed, 3 + (seed % 15)));
line(`${TOKENS} random tokens a node, equal nodes`, tokens, []);

console.log('\n| nodes | partitions | moves of a join | ms | moves of a leave | ms |');
console.log('| ---: | ---: | ---: | ---: | ---: | ---: |');
for (const [size, partitions] of [
  [3, 256],
  [30, 1024],
  [300, 4096],
  [1000, 16_384],
] as const) {
  const members = Array.from({ length: size }, (_, i) => member(i, i % 3, 1));
  const rows = fillPlacement(members, N, partitions, epoch(1)).partitions.map(({ owners }) => owners);
  const timed = (changedMembers: readonly Member[]): string => {
    const started = performance.now();
    const { moves } = claim(changedMembers, N, rows);
    return `${moves.length} | ${(performance.now() - started).toFixed(0)}`;
  };
  const joined = timed([...members, member(size, size % 3, 1)]);
  const left = size === 3 ? '- | -' : timed(members.map((one, i) => (i === 0 ? { ...one, state: 'leaving' } : one)));
  console.log(`| ${size} | ${partitions} | ${joined} | ${left} |`);
}
