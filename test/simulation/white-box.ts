/**
 * What the checkers see of the inside of the nodes: which dot a write was given, and what the rows on the disks hold. It
 * reads; it joins and decides nothing.
 */

import { decodeState } from '#causality/state-codec.ts';
import type { Hints } from '#handoff/hints.ts';
import { HintMessage, type HintRequest } from '#handoff/messages.ts';
import { present } from '#kernel/assert.ts';
import { utf8 } from '#kernel/bytes.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import { ownersOf } from '#ring/preference-list.ts';
import { StoreMessage, StoresMessage, type StoreRequest } from '#replica/messages.ts';
import type { MintRequest } from '#replica/mint.ts';
import type { Replica } from '#replica/replica.ts';
import type { StoredState } from '#replica/records.ts';
import { RECORDS, recordKey } from '#replica/tables.ts';
import type { Messaging } from '#wire/messaging.ts';
import { digest } from '#world/digest.ts';
import { writeIdIn } from './answers.ts';
import type { Facts } from '#consensus/facts.ts';
import type { QuoralNode } from '#node.ts';
import type { Machine, RunningProcess, SimulatedCluster } from './cluster.ts';
import type { Dot, ReplicaSnapshot, WriteId } from './history.ts';
import type { Recorder } from './recorder.ts';

/** Notes from now on which dots the node gives to which writes. `minted` is told too; of a deletion it gets no id. */
export function watchMints(
  { node }: RunningProcess,
  recorder: Recorder,
  minted: (dot: Dot, write: WriteId | null) => void,
): void {
  const { replica, hints, messaging } = node;
  const deletions = new WeakMap<Uint8Array, Dot>();
  /** Notes the dot when the state leaves the node, or when it is committed if nobody gets it. */
  const watched = ({
    content,
    operating,
  }: Pick<MintRequest, 'content' | 'operating'>): ((made: StoredState) => void) => {
    const write = content === null ? null : writeIdIn(content.value);
    // Nobody's write: of what is there nothing changes.
    const isTouch = operating?.operation.kind === 'touch';
    let isNoted = false;
    return (made) => {
      if (isNoted) return;
      isNoted = true;
      const self = present(node.member(), 'the member that mints').index;
      const own = made.state.vector.filter((entry) => entry.node === self);
      const dot = present(own.toSorted((x, y) => y.counter - x.counter)[0], 'the dot of the write');
      minted(dot, isTouch ? 'a touch' : write);
      if (isTouch) return;
      if (write === null) deletions.set(made.encoded, dot);
      else recorder.minted({ write, dot });
    };
  };
  const mint: Replica['mint'] = replica.mint.bind(replica);
  replica.mint = async (request, send) => {
    const note = watched(request);
    const made = await mint(request, (state) => {
      const sent = send(state);
      if (sent) note(state);
      return sent;
    });
    note(made);
    return made;
  };
  const mintInPlace: Hints['mint'] = hints.mint.bind(hints);
  hints.mint = async (request, send) => {
    const note = watched(request);
    const made = await mintInPlace(request, (state) => {
      note(state);
      send(state);
    });
    return made;
  };
  // A deletion has no value that tells whose it is; the message that carries it to others does.
  const call: Messaging['call'] = messaging.call.bind(messaging);
  messaging.call = (to, type, request, options) => {
    for (const store of storesIn(type.name, request)) {
      const dot = deletions.get(store.state);
      if (dot !== undefined) recorder.minted({ write: store.requestId, dot });
      deletions.delete(store.state);
    }
    return call(to, type, request, options);
  };
}

function storesIn(name: string, request: unknown): readonly StoreRequest[] {
  if (name === StoreMessage.name) return [request as StoreRequest];
  if (name === StoresMessage.name) return request as readonly StoreRequest[];
  return name === HintMessage.name ? [(request as HintRequest).store] : [];
}

/** What the machine's disk holds of the key now, synced or not. */
export function snapshotOf(
  machine: Machine,
  bucket: string,
  incarnation: number,
  key: string,
  recorder: Recorder,
): ReplicaSnapshot {
  const row = machine.medium.row(RECORDS, recordKey(bucket, incarnation, utf8(key)));
  const { vector, versions } = row === undefined ? { vector: [], versions: [] } : decodeState(row, digest.crc32);
  return {
    node: machine.id,
    bucket,
    key,
    moment: recorder.moment(),
    vector,
    versions: versions.map(({ dot, content }) => ({ dot, write: content === null ? null : writeIdIn(content.value) })),
  };
}

/** The newest epoch that a running node knows, and the node. */
export function newestFacts(cluster: SimulatedCluster): { readonly node: QuoralNode; readonly facts: Facts } {
  const known = cluster.machines.flatMap(({ running }) => {
    const facts = running?.node.chain.facts();
    return facts === undefined ? [] : [{ node: running!.node, facts }];
  });
  return present(
    known.reduce<(typeof known)[number] | undefined>(
      (best, one) => (best === undefined || one.facts.epoch > best.facts.epoch ? one : best),
      undefined,
    ),
    'a running node that knows an epoch',
  );
}

/** The machines that own the key, as far as any running node knows. */
export function ownersOfKey(cluster: SimulatedCluster, bucket: string, key: string): readonly Machine[] {
  const { node, facts } = newestFacts(cluster);
  const { ring } = facts;
  const { n } = node.buckets.resolve(bucket).properties;
  const { owners } = ownersOf(ring, n, partitionOf(ring, hashKey(ring, bucket, utf8(key))));
  return owners.map((index) => {
    const member = present(
      ring.members.find((one) => one.index === index),
      `member ${index}`,
    );
    return cluster.machine(member.id);
  });
}
