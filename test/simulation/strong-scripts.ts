/** Scripts about strong keys whose owners forget something, because they should or because they cannot help it. */

import { AcceptMessage, EraseMessage, PrepareMessage } from '#coordinator/register-messages.ts';
import { encodeValue } from '#coordinator/register-value-codec.ts';
import { digest } from '#world/digest.ts';
import { recordKey, REGISTERS } from '#replica/tables.ts';
import { utf8 } from '#kernel/bytes.ts';
import type { MessageType } from '#wire/message.ts';
import { decodeEnvelope } from '#wire/envelope.ts';
import type { Machine } from './cluster.ts';
import { strictQuorum } from './levels.ts';
import { requestName } from './messages-on-the-wire.ts';
import type { Stage } from './stage.ts';
import { ownersOfKey } from './white-box.ts';
import type { Target } from './workload.ts';

const STRONG = strictQuorum({ owners: 3, mode: 'strong' });
/** After so long without a change nobody looks for anything of a deleted key any more. */
const FORGOTTEN_MS = 95_000;
/** In a script with short requests, after so long. */
export const COME_AND_GO_MS = 3500;
/** After so long a node knows that it is cut off. */
const CUT_OFF_MS = 4500;

interface Caught<Request> {
  readonly from: Machine;
  readonly to: Machine;
  readonly request: Request;
}

/** Requests of the kind do not arrive from now on, but are kept. */
function catches<Request, Reply>(stage: Stage, type: MessageType<Request, Reply>): readonly Caught<Request>[] {
  const caught: Caught<Request>[] = [];
  const { machines, network } = stage.arena.cluster;
  for (const from of machines) {
    for (const to of machines) {
      if (from === to) continue;
      const loses = (message: Uint8Array): boolean => {
        const envelope = decodeEnvelope(message);
        if (envelope.kind !== 'request' || envelope.name !== type.name) return false;
        caught.push({ from, to, request: type.decodeRequest(envelope.body) });
        return true;
      };
      network.setFault(from.host, to.host, { loses });
    }
  }
  return caught;
}

/** The request arrives after all. */
async function deliver<Request, Reply>(
  stage: Stage,
  type: MessageType<Request, Reply>,
  { from, to, request }: Caught<Request>,
): Promise<void> {
  const { simulation } = stage.arena.cluster;
  const { messaging, world } = from.running!.node;
  const deadline = world.clock.monotonic() + 1000;
  await simulation.settle(messaging.call(to.id, type, request, { deadline }));
}

function ownersOf(stage: Stage, { bucket, key }: Target): readonly [Machine, Machine, Machine] {
  return ownersOfKey(stage.arena.cluster, bucket.name, key) as unknown as [Machine, Machine, Machine];
}

/**
 * The first owner alone has accepted a value; while one of the others is silent a read finds that, and has it accepted. Then all
 * is well.
 */
async function shownByOneOwner(stage: Stage, target: Target): Promise<void> {
  const [first, second, third] = ownersOf(stage, target);
  stage.clear();
  stage.cut(third, [first, second]);
  await stage.get(first, target, STRONG);
  await stage.heal();
  await stage.get(second, target, STRONG);
}

function rowKeyOf({ bucket, key }: Target): Uint8Array {
  return recordKey(bucket.name, 0, utf8(key));
}

function rowsOf(stage: Stage, target: Target): number {
  const rowKey = rowKeyOf(target);
  return stage.arena.cluster.machines.filter(({ medium }) => medium.table(REGISTERS).get(rowKey) !== undefined).length;
}

function mustBeErased(stage: Stage, target: Target): void {
  const rows = rowsOf(stage, target);
  if (rows === 0) return;
  const detail = `${rows} owners still have a row of a key that was deleted long ago`;
  stage.arena.find({ check: 'tombstones', key: `${target.bucket.name}/${target.key}`, detail });
}

export const STRONG_SCRIPTS = {
  /** A proposal that was not confirmed has been accepted by one owner all the same; its proposer goes on. */
  'strong-proposal-not-confirmed': async (stage: Stage): Promise<void> => {
    const { simulation } = stage.arena.cluster;
    const target = stage.strongKey('again');
    const [first, second, third] = ownersOf(stage, target);
    await stage.put(first, target, STRONG);
    const client = stage.somebody();
    const { shown, etag } = await simulation.settle(client.read(target, first, STRONG, 2000));
    const late = catches(stage, AcceptMessage);
    await stage.put(first, target, STRONG);
    stage.clear();
    if (shown === null || etag === null || late.length === 0) return;
    const condition = { write: shown[0]!, etag };
    await simulation.settle(client.write(target, first, { kind: 'put', level: STRONG, timeout: 2000, condition }));
    for (const machine of [first, second, third, first]) await stage.get(machine, target, STRONG);
  },
  /** One owner alone accepts a change; the same request's next attempt goes on from what that one has. */
  'strong-attempt-not-confirmed': async (stage: Stage): Promise<void> => {
    const { simulation } = stage.arena.cluster;
    const target = stage.strongKey('twice');
    const [first, second, third] = ownersOf(stage, target);
    await stage.put(first, target, STRONG);
    const client = stage.somebody();
    const { shown, etag } = await simulation.settle(client.read(target, first, STRONG, 2000));
    if (shown === null || etag === null) return;
    const late = catches(stage, AcceptMessage);
    // The condition holds for the first attempt only.
    const condition = { write: shown[0]!, etag };
    const write = client.write(target, first, { kind: 'put', level: STRONG, timeout: 4000, condition });
    await stage.during(write, 500, () => stage.clear());
    if (late.length === 0) return;
    for (const machine of [first, second, third]) await stage.get(machine, target, STRONG);
  },
  /**
   * A proposer does not learn that its change was accepted. Another one finds that out and answers; then the key is changed again,
   * and the first one goes on.
   */
  'strong-attempt-answered-elsewhere': async (stage: Stage): Promise<void> => {
    const { network } = stage.arena.cluster;
    const target = stage.strongKey('answered');
    const [first, second, third] = ownersOf(stage, target);
    await stage.put(first, target, STRONG);
    network.setFault(second.host, first.host, { loses: (message) => decodeEnvelope(message).kind === 'reply' });
    network.setFault(first.host, third.host, { loses: (message) => requestName(message).startsWith('register.') });
    await stage.during(stage.putting(third, target, STRONG, 10_000), 200, () => {
      stage.cut(third, [first]);
      network.breakConnections(third.host, first.host);
    });
    await stage.put(third, target, STRONG);
    stage.clear();
    await stage.pass(3000);
    for (const machine of [first, second, third]) await stage.get(machine, target, STRONG);
  },
  /** A copy of a request arrives at each node when its client, who has been answered, has written something else. */
  'strong-copy-arrives-late': async (stage: Stage): Promise<void> => {
    const { cluster } = stage.arena;
    const target = stage.strongKey('copied');
    const [first, second, third] = ownersOf(stage, target);
    const client = stage.somebody();
    const what = { kind: 'put', level: STRONG, timeout: 2000, keyed: true } as const;
    const copied = client.compose(target, what);
    await cluster.simulation.settle(client.attempt(copied, first, 2000));
    for (const machine of [second, third])
      await cluster.simulation.settle(client.attempt(client.compose(target, what), machine, 2000));
    // What is known of the request must be on the disks.
    stage.crash(first);
    await stage.heal();
    const { headers, body = '' } = copied;
    const path = `/v1/kv/${target.bucket.name}/${target.key}`;
    for (const machine of [first, second, third]) {
      await cluster.request(machine.id, 'PUT', path, { headers, body });
      await stage.get(machine, target, STRONG);
    }
  },
  /** Accepts arrive at owners that have promised somebody else more meanwhile. */
  'strong-accept-below-a-promise': async (stage: Stage): Promise<void> => {
    const target = stage.strongKey('promised');
    const [first, second, third] = ownersOf(stage, target);
    await stage.put(first, target, STRONG);
    const { rows } = stage.arena.cluster.running(second.id).node.coordinator.strong;
    const seen = rows.held({ bucket: target.bucket.name, incarnation: 0, key: utf8(target.key) });
    await stage.get(first, target, STRONG);
    await stage.remove(first, target, STRONG);
    const late = catches(stage, AcceptMessage);
    await stage.put(first, target, STRONG);
    await stage.heal();
    if (seen === undefined || late.length === 0) return;
    const { scope, key, ballot: early } = late[0]!.request;
    const prepare = { scope, key, ballot: { ...early, time: early.time + 60_000 } };
    for (const to of [second, third]) await deliver(stage, PrepareMessage, { from: first, to, request: prepare });
    for (const message of late) await deliver(stage, AcceptMessage, message);
    await stage.get(first, target, STRONG);
    // A read may be content with what a majority has; a write goes above the promise, so that what comes under it comes too late.
    await stage.put(first, target, STRONG);
    const accept = { ...prepare, value: encodeValue(seen, digest.crc32), next: null };
    for (const to of [second, third]) await deliver(stage, AcceptMessage, { from: first, to, request: accept });
    for (const machine of [first, second, third]) await stage.get(machine, target, STRONG);
  },
  /** An accept of a value that was seen, overwritten and deleted since arrives when the key has been erased. */
  'strong-key-erased-while-late': async (stage: Stage): Promise<void> => {
    const target = stage.strongKey('late');
    const resting = stage.strongKey('resting');
    const [first, second, third] = ownersOf(stage, target);
    const late = catches(stage, AcceptMessage);
    await stage.put(first, target, STRONG);
    await shownByOneOwner(stage, target);
    await stage.put(second, resting, STRONG);
    await stage.remove(third, target, STRONG);
    await stage.get(second, target, STRONG);
    await stage.pass(FORGOTTEN_MS);
    mustBeErased(stage, target);
    // Nor does its proposer know any more that there was something.
    stage.crash(first);
    await stage.heal();
    for (const message of late) await deliver(stage, AcceptMessage, message);
    for (const machine of [first, second, third]) await stage.get(machine, target, STRONG);
    for (const machine of [first, second, third]) await stage.get(machine, resting, STRONG);
    await stage.put(third, target, STRONG);
    await stage.get(first, target, STRONG);
  },
  /** Owners have promised a ballot to somebody when they are told to erase the key. */
  'strong-key-erased-while-promised': async (stage: Stage): Promise<void> => {
    const target = stage.strongKey('promised');
    const [first, second, third] = ownersOf(stage, target);
    const accepts = catches(stage, AcceptMessage);
    await stage.put(first, target, STRONG);
    const [seen] = accepts;
    await shownByOneOwner(stage, target);
    await stage.remove(third, target, STRONG);
    const tellings = catches(stage, EraseMessage);
    await stage.pass(FORGOTTEN_MS);
    const erasures = [...tellings];
    stage.clear();
    if (seen === undefined || erasures.length === 0) {
      stage.arena.find({ check: 'tombstones', key: target.key, detail: 'nobody was told to erase the key' });
      return;
    }
    // Somebody whose clock is ahead gets promises of two owners, and reads that there is nothing.
    const scope = erasures[0]!.request.scope;
    const ahead = { ...seen.request.ballot, time: seen.request.ballot.time + 600_000 };
    const prepare = { scope, key: seen.request.key, ballot: ahead };
    for (const to of [second, third]) await deliver(stage, PrepareMessage, { from: first, to, request: prepare });
    for (const message of erasures.slice(0, 2)) await deliver(stage, EraseMessage, message);
    await stage.put(first, target, STRONG);
    const accept = { ...prepare, value: seen.request.value, next: null };
    for (const to of [second, third]) await deliver(stage, AcceptMessage, { from: first, to, request: accept });
    for (const machine of [first, second, third]) await stage.get(machine, target, STRONG);
  },
  /** Of two owners that have accepted a value one loses its power; the other one cannot be asked. */
  'strong-vote-and-power-loss': async (stage: Stage): Promise<void> => {
    for (let round = 0; round < 3; round++) {
      const target = stage.strongKey(`power${round}`);
      const [first, second, third] = ownersOf(stage, target);
      // From then on the first owner needs one phase.
      await stage.put(first, target, STRONG);
      stage.cut(third, [first, second]);
      await stage.pass(CUT_OFF_MS);
      second.medium.extraSyncMilliseconds = 1000;
      await stage.during(stage.putting(first, target, STRONG), 50, () => stage.crash(second));
      stage.clear();
      stage.cut(first, [second, third]);
      await stage.pass(2 * CUT_OFF_MS);
      await stage.get(third, target, STRONG);
      await stage.heal();
    }
  },
  /** Of two owners that have accepted a value one loses its disk; the other one cannot be asked, by nobody. */
  'strong-owner-loses-its-disk': async (stage: Stage): Promise<void> => {
    for (let round = 0; round < 2; round++) {
      const target = stage.strongKey(`disk${round}`);
      const [first, second, third] = ownersOf(stage, target);
      stage.cut(third, [first, second]);
      await stage.pass(CUT_OFF_MS);
      await stage.put(first, target, STRONG);
      stage.clear();
      // Nothing brings the registers back; the epochs that say what has happened go around.
      stage.loses(/^register\.page$/);
      stage.crash(second);
      second.medium.wipe();
      await stage.pass(2 * CUT_OFF_MS);
      stage.loses(/^register\./, first);
      await stage.get(third, target, STRONG);
      await stage.get(second, target, STRONG);
      await stage.put(third, target, STRONG);
      await stage.heal();
      for (const machine of [first, second, third]) await stage.get(machine, target, STRONG);
    }
  },
  /** Of two owners that have accepted a value one finds its row damaged; the other one cannot be asked. */
  'strong-key-damaged': async (stage: Stage): Promise<void> => {
    for (let round = 0; round < 3; round++) {
      const target = stage.strongKey(`damaged${round}`);
      const [first, second, third] = ownersOf(stage, target);
      stage.cut(third, [first, second]);
      await stage.pass(CUT_OFF_MS);
      await stage.put(first, target, STRONG);
      second.medium.flipByte(REGISTERS, rowKeyOf(target), 9 + round);
      stage.clear();
      stage.cut(first, [second, third]);
      await stage.pass(2 * CUT_OFF_MS);
      await stage.get(third, target, STRONG);
      await stage.put(third, target, STRONG);
      await stage.heal();
      for (const machine of [first, second, third]) await stage.get(machine, target, STRONG);
    }
  },
  /** An owner whose row was damaged is told to accept what it had promised somebody not to. */
  'strong-key-damaged-after-a-promise': async (stage: Stage): Promise<void> => {
    const target = stage.strongKey('promised');
    const [first, second, third] = ownersOf(stage, target);
    const accepts = catches(stage, AcceptMessage);
    await stage.put(first, target, STRONG);
    const [seen] = accepts;
    await shownByOneOwner(stage, target);
    await stage.remove(first, target, STRONG);
    if (seen === undefined) return;
    // Somebody whose clock is ahead gets a promise of one owner, which forgets it, and then one of another.
    const { scope, key, ballot: early, value } = seen.request;
    const ballot = { ...early, time: early.time + 60_000 };
    const prepare = { scope, key, ballot };
    await deliver(stage, PrepareMessage, { from: first, to: second, request: prepare });
    second.medium.flipByte(REGISTERS, rowKeyOf(target), 9);
    // Nobody remembers anything that is not on a disk, so the next proposal begins with a first phase.
    for (const machine of [first, second]) stage.crash(machine);
    await stage.heal();
    await stage.pass(3000);
    await deliver(stage, PrepareMessage, { from: first, to: third, request: prepare });
    await stage.put(first, target, STRONG);
    for (const to of [second, third]) {
      await deliver(stage, AcceptMessage, { from: first, to, request: { ...prepare, value, next: null } });
    }
    for (const machine of [first, second, third]) await stage.get(machine, target, STRONG);
  },
  /** Keys come and go under clients and a network that is late, while what holds nothing is erased as soon as it may be. */
  'strong-keys-come-and-go': async (stage: Stage): Promise<void> => {
    const { machines, network, simulation } = stage.arena.cluster;
    const random = simulation.random.fork('come and go');
    const keys = ['a', 'b', 'c'].map((key) => stage.strongKey(key));
    const erased = (): number =>
      machines.reduce(
        (sum, { running }) => sum + (running?.world.metrics.value('quoral_registers_erased_total') ?? 0),
        0,
      );
    const lost = (message: Uint8Array): boolean => requestName(message).startsWith('register.') && random.chance(0.1);
    let took = 0;
    for (let round = 0; round < 40; round++) {
      const doing: Promise<unknown>[] = [];
      for (const from of machines) {
        for (const to of machines) {
          const delay = [0, 0, 30, 250][random.below(4)]!;
          if (from !== to) network.setFault(from.host, to.host, { delay, loses: lost });
        }
      }
      for (let i = 0; i < 8; i++) {
        const machine = machines[random.below(machines.length)]!;
        const key = keys[random.below(keys.length)]!;
        const chance = random.below(10);
        if (chance < 2) doing.push(stage.getting(machine, key, STRONG));
        else if (chance < 4) doing.push(stage.swapping(machine, machines[random.below(3)]!, key, STRONG));
        else doing.push(stage.removing(machine, key, STRONG));
        await stage.pass(random.below(60));
      }
      // What was deleted is erased while the last of them are under way, or the next ones.
      await stage.pass(random.below(2 * COME_AND_GO_MS));
      await simulation.settle(Promise.all(doing));
      if (random.chance(0.2)) stage.crash(machines[random.below(machines.length)]!);
      if (round % 8 === 7) await stage.heal();
      const before = took;
      took = Math.max(took, erased());
      if (took > before) stage.arena.note('', `${took} registers erased`);
    }
    await stage.heal();
    for (const key of keys) for (const machine of machines) await stage.get(machine, key, STRONG);
    if (took > 0) return;
    stage.arena.find({ check: 'tombstones', key: 'strong', detail: 'nothing was ever erased' });
  },
};
