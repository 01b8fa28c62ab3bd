/**
 * The ring as plain arrays, strings and numbers, for the wire and the disk:
 *
 *     ring      [clusterId, partitionCount, hashSeed, [member…], [voter…], [placement…], change | null, [last id, outcome]]
 *     change    [id, state, moves, [comes…], [goes…], keys, bytes, throttle: -1 as the settings say, 0 none,
 *                [lost…] if anybody is, before if there is anything to be put back]
 *     before    [[[index, zone, weight]…], [[n, partition, [owner…]]…]]
 *     member    [index, id, storageId | null, peer, url, zone, weight, state]
 *     placement [n, runs of list lengths, owners of all partitions in one list, runs of changedIn, [move…]]
 *     move      [partition, stage, [other owner…], [who owes…] if anybody does]
 *     runs      [value, times, value, times…]
 *
 * What ends a ring is there only once something has moved, and what ends a placement only while something does. Members are
 * appended to these lists in later versions, never inserted, so a reader ignores what follows. What arrives is checked in full,
 * because everything else relies on it.
 */

import type { NodeIndex } from '#kernel/identity.ts';
import { clusterId, epoch, nodeId, nodeIndex, storageId } from '#kernel/identity.ts';
import { isPartitionCount } from './founding.ts';
import { MOVE_STAGES } from './moving.ts';
import type { Before, ChangeOver, ChangeUnderWay, Member, PartitionOwners, Placement, Ring } from './ring.ts';
import { CHANGE_OUTCOMES, CHANGE_STATES, MEMBER_STATES, PARTITIONS_MAX, REPLICAS_MAX, VOTERS_MAX } from './ring.ts';

export function ringToWire(ring: Ring): unknown {
  const fields = [
    ring.clusterId,
    ring.partitionCount,
    ring.hashSeed,
    ring.members.map((m) => [m.index, m.id, m.storageId, m.peer, m.url, m.zone, m.weight, m.state]),
    [...ring.voters],
    ring.placements.map((placement) => [
      placement.n,
      toRuns(placement.partitions.map(({ owners }) => owners.length)),
      placement.partitions.flatMap(({ owners }) => owners),
      toRuns(placement.partitions.map(({ changedIn }) => changedIn)),
      ...movesToWire(placement.partitions),
    ]),
  ];
  return [...fields, ...changesToWire(ring)];
}

function changesToWire({ change, lastChange }: Ring): readonly unknown[] {
  if (change === undefined && lastChange === undefined) return [];
  return [
    change === undefined ? null : changeToWire(change),
    ...(lastChange === undefined ? [] : [[lastChange.id, lastChange.outcome]]),
  ];
}

function changeToWire(change: ChangeUnderWay): unknown {
  const { id, state, moves, comes, goes, keys, bytes, throttle, lost, before } = change;
  const speed = throttle === undefined ? -1 : (throttle ?? 0);
  const fields = [id, state, moves, [...comes], [...goes], keys, bytes, speed];
  if (before !== undefined) return [...fields, [...(lost ?? [])], beforeToWire(before)];
  return lost === undefined ? fields : [...fields, [...lost]];
}

function beforeToWire({ members, orders }: Before): unknown {
  return [
    members.map(({ index, zone, weight }) => [index, zone, weight]),
    orders.map(({ n, partition, owners }) => [n, partition, [...owners]]),
  ];
}

function movesToWire(partitions: readonly PartitionOwners[]): readonly unknown[] {
  const moves = partitions.flatMap(({ move }, partition) =>
    move === undefined ? [] : [[partition, move.stage, [...move.others], ...(move.owed ? [[...move.owed]] : [])]],
  );
  return moves.length === 0 ? [] : [moves];
}

function toRuns(values: readonly number[]): number[] {
  const runs: number[] = [];
  for (const value of values) {
    if (runs.at(-2) === value) runs[runs.length - 1]! += 1;
    else runs.push(value, 1);
  }
  return runs;
}

/** Reads a ring; throws RangeError that says what was wrong. */
export function ringFromWire(body: unknown): Ring {
  const fields = list(body, 'ring', 6);
  const partitionCount = integer(fields[1], 'ring: partition count', 1, PARTITIONS_MAX);
  if (!isPartitionCount(partitionCount)) refuse('ring: partition count', 'a power of two', partitionCount);
  const hashSeed = text(fields[2], 'ring: hash seed', 32);
  if (!/^[0-9a-f]{32}$/.test(hashSeed)) refuse('ring: hash seed', '32 hex digits', hashSeed);

  const members = list(fields[3], 'ring: members', 1).map(readMember);
  requireRising(
    members.map((member) => member.index),
    'ring: member indexes',
  );
  requireDistinct(
    members.flatMap((member) => (member.state === 'removed' ? [] : [member.id])),
    'ring: member ids',
  );
  requireDistinct(
    members.flatMap((member) => member.storageId ?? []),
    'ring: storage ids',
  );

  const known = new Map(members.map((member) => [member.index, member]));
  const voters = list(fields[4], 'ring: voters', 1).map((voter, i) =>
    readMemberIndex(voter, `ring: voter ${i}`, known),
  );
  if (voters.length > VOTERS_MAX) refuse('ring: voters', `at most ${VOTERS_MAX}`, voters.length);
  requireRising(voters, 'ring: voters');

  const placements = list(fields[5], 'ring: placements', 0).map((row) => readPlacement(row, partitionCount, known));
  requireRising(
    placements.map((placement) => placement.n),
    'ring: replication factors',
  );
  return {
    clusterId: clusterId(text(fields[0], 'ring: cluster id', 32)),
    partitionCount,
    hashSeed,
    members,
    voters,
    placements,
    ...(fields.length > 6 && fields[6] !== null ? { change: readChange(fields[6], known) } : {}),
    ...(fields.length > 7 ? { lastChange: readChangeOver(fields[7]) } : {}),
  };
}

function readChangeOver(body: unknown): ChangeOver {
  const fields = list(body, 'ring: last change', 2);
  const outcome = CHANGE_OUTCOMES.find((name) => name === fields[1]);
  if (outcome === undefined) refuse('ring: outcome of the last change', CHANGE_OUTCOMES.join(', '), fields[1]);
  return { id: text(fields[0], 'ring: id of the last change', 32), outcome };
}

function readChange(body: unknown, known: KnownMembers): ChangeUnderWay {
  const fields = list(body, 'ring: change', 8);
  const state = CHANGE_STATES.find((name) => name === fields[1]);
  if (state === undefined) refuse('ring: state of the change', CHANGE_STATES.join(', '), fields[1]);
  const members = (some: unknown): readonly NodeIndex[] =>
    list(some, 'ring: members of the change', 0).map((index) =>
      readMemberIndex(index, 'ring: member of the change', known),
    );
  const count = (at: number, what: string, least = 0): number =>
    integer(fields[at], `ring: ${what} of the change`, least, Number.MAX_SAFE_INTEGER);
  const throttle = count(7, 'throttle', -1);
  const lost = fields.length > 8 ? members(fields[8]) : [];
  return {
    ...{ id: text(fields[0], 'ring: id of the change', 32), state, moves: count(2, 'moves') },
    ...{ comes: members(fields[3]), goes: members(fields[4]), keys: count(5, 'keys'), bytes: count(6, 'bytes') },
    ...(lost.length > 0 ? { lost } : {}),
    ...(throttle < 0 ? {} : { throttle: throttle === 0 ? null : throttle }),
    ...(fields.length > 9 ? { before: readBefore(fields[9]) } : {}),
  };
}

/** Whom and what it is about is looked at when it is put back: only what is there still is. */
function readBefore(body: unknown): Before {
  const fields = list(body, 'ring: what was before the change', 2);
  const member = (index: unknown): NodeIndex => nodeIndex(integer(index, 'ring: member before the change', 0, 65_535));
  return {
    members: list(fields[0], 'ring: members before the change', 0).map((row) => {
      const [index, zone, weight] = list(row, 'ring: member before the change', 3);
      return {
        index: member(index),
        zone: text(zone, 'ring: zone before the change', 128),
        weight: readWeight(weight, 'ring: weight before the change'),
      };
    }),
    orders: list(fields[1], 'ring: orders before the change', 0).map((row) => {
      const [n, partition, owners] = list(row, 'ring: order before the change', 3);
      return {
        n: integer(n, 'ring: replication factor before the change', 1, REPLICAS_MAX),
        partition: integer(partition, 'ring: partition before the change', 0, PARTITIONS_MAX - 1),
        owners: list(owners, 'ring: owners before the change', 1).map(member),
      };
    }),
  };
}

function readWeight(weight: unknown, what: string): number {
  if (typeof weight !== 'number' || !Number.isFinite(weight) || weight <= 0) refuse(what, 'above 0', weight);
  return weight;
}

function readMember(body: unknown, position: number): Member {
  const fields = list(body, `ring: member ${position}`, 8);
  const id = nodeId(text(fields[1], `ring: id of member ${position}`, 64));
  const what = (name: string): string => `ring: ${name} of member ${id}`;
  const state = MEMBER_STATES.find((name) => name === fields[7]);
  if (state === undefined) refuse(what('state'), MEMBER_STATES.join(', '), fields[7]);
  return {
    index: nodeIndex(integer(fields[0], what('index'), 0, 65_535)),
    id,
    storageId: fields[2] === null ? null : storageId(text(fields[2], what('storage id'), 32)),
    peer: text(fields[3], what('peer'), 512),
    url: text(fields[4], what('url'), 2048),
    zone: text(fields[5], what('zone'), 128),
    weight: readWeight(fields[6], what('weight')),
    state,
  };
}

type KnownMembers = ReadonlyMap<NodeIndex, Member>;

/** The index of a member that has not been removed. */
function readMemberIndex(body: unknown, what: string, known: KnownMembers): NodeIndex {
  const index = nodeIndex(integer(body, what, 0, 65_535));
  const member = known.get(index);
  if (member === undefined || member.state === 'removed') refuse(what, 'the index of a member', index);
  return index;
}

function readPlacement(body: unknown, partitionCount: number, known: KnownMembers): Placement {
  const fields = list(body, 'ring: placement', 4);
  const n = integer(fields[0], 'ring: replication factor', 1, REPLICAS_MAX);
  const what = `ring: placement for n=${n}`;
  const lengths = readRuns(fields[1], `${what}: list lengths`, partitionCount, n, 1);
  const changes = readRuns(fields[3], `${what}: changed in`, partitionCount, Number.MAX_SAFE_INTEGER, 0);
  const flat = list(fields[2], `${what}: owners`, partitionCount);

  let start = 0;
  const partitions = lengths.map((length, p): PartitionOwners => {
    const owners = flat
      .slice(start, start + length)
      .map((index) => readMemberIndex(index, `${what}: owner of partition ${p}`, known));
    if (owners.length < length) refuse(`${what}: owners of partition ${p}`, `${length}`, owners.length);
    requireDistinct(owners, `${what}: owners of partition ${p}`);
    start += length;
    return { owners, changedIn: epoch(changes[p]!) };
  });
  if (start !== flat.length) refuse(`${what}: owners`, `${start} in all`, flat.length);
  if (fields.length > 4) readMoves(fields[4], what, partitions, known);
  return { n, partitions };
}

/** Puts the moves into the partitions that they belong to. */
function readMoves(body: unknown, what: string, partitions: PartitionOwners[], known: KnownMembers): void {
  const moves = list(body, `${what}: moves`, 0).map((row) => {
    const fields = list(row, `${what}: move`, 3);
    const partition = integer(fields[0], `${what}: partition of a move`, 0, partitions.length - 1);
    const stage = MOVE_STAGES.find((name) => name === fields[1]);
    if (stage === undefined) refuse(`${what}: stage of partition ${partition}`, MOVE_STAGES.join(', '), fields[1]);
    const members = (field: unknown, which: string): readonly NodeIndex[] => {
      const indexes = list(field, `${what}: ${which}s of partition ${partition}`, 1).map((index) =>
        readMemberIndex(index, `${what}: ${which} of partition ${partition}`, known),
      );
      requireDistinct(indexes, `${what}: ${which}s of partition ${partition}`);
      return indexes;
    };
    const others = members(fields[2], 'other owner');
    // Those that bring something may be as many of each of several changes.
    if (stage !== 'offload' && others.length > REPLICAS_MAX)
      refuse(`${what}: other owners`, `at most ${REPLICAS_MAX}`, others.length);
    const owed = fields.length > 3 ? { owed: members(fields[3], 'former owner') } : {};
    return { partition, move: { stage, others, ...owed } };
  });
  requireRising(
    moves.map(({ partition }) => partition),
    `${what}: moves`,
  );
  for (const { partition, move } of moves) partitions[partition] = { ...partitions[partition]!, move };
}

/** One number for each partition; never more than that, whatever the runs claim. */
function readRuns(body: unknown, what: string, count: number, most: number, least: number): number[] {
  const runs = list(body, what, 0);
  const values: number[] = [];
  for (let i = 0; i < runs.length; i += 2) {
    const value = integer(runs[i], what, least, most);
    const times = integer(runs[i + 1], `${what}: times`, 1, count - values.length);
    for (let time = 0; time < times; time++) values.push(value);
  }
  if (values.length !== count) refuse(what, `one for each of ${count} partitions`, values.length);
  return values;
}

function refuse(what: string, allowed: string, found: unknown): never {
  throw new RangeError(`${what}: ${allowed}, found ${shown(found)}`);
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80));
  return typeof value === 'number' || value === null ? String(value) : typeof value;
}

function list(value: unknown, what: string, least: number): readonly unknown[] {
  if (!Array.isArray(value)) refuse(what, 'a list', value);
  if (value.length < least) refuse(what, `a list of at least ${least}`, value.length);
  return value;
}

function integer(value: unknown, what: string, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    refuse(what, `a whole number from ${least} to ${most}`, value);
  }
  return value;
}

function text(value: unknown, what: string, most: number): string {
  if (typeof value !== 'string' || value.length > most) refuse(what, `text of at most ${most} characters`, value);
  return value;
}

function requireRising(values: readonly number[], what: string): void {
  for (let i = 1; i < values.length; i++) {
    if (values[i]! <= values[i - 1]!) refuse(what, 'sorted, each once', values[i]);
  }
}

function requireDistinct(values: readonly (string | number)[], what: string): void {
  if (new Set(values).size !== values.length) refuse(what, 'each once', values.join(', '));
}
