/** The epoch chain of a node, put together, and whom it meets before it knows an epoch. */

import { EpochChain } from '#consensus/epoch-chain.ts';
import { nodeId, type NodeId } from '#kernel/identity.ts';
import type { NodeStorage } from '#replica/node-storage.ts';
import type { Messaging, Peer } from '#wire/messaging.ts';
import type { World } from '#world/world.ts';
import type { NodeOptions } from './node.ts';

/** What answers there, for as long as its name is not known: no name has a colon. */
function seedsOf({ seeds = [], peer }: NodeOptions): readonly Peer[] {
  const others = new Set(seeds.filter((address) => address !== peer));
  return [...others].map((address) => ({ id: address as NodeId, address, seed: true }));
}

/**
 * The members of the newest ring, before founding the founders; and those that wait to become members, so that somebody finds out
 * whether they can be reached before a ring change waits for them.
 */
export function peersOf(options: NodeOptions, chain: EpochChain): readonly Peer[] {
  const facts = chain.facts();
  const known = facts?.ring.members.filter(({ state }) => state !== 'removed') ?? options.founders;
  const others = [...known, ...chain.newcomers()].filter(({ id }) => id !== options.id);
  const peers = others.map(({ id, peer }) => ({ id: nodeId(id), address: peer }));
  return facts === undefined ? [...peers, ...seedsOf(options)] : peers;
}

export function epochChain(
  world: World,
  options: NodeOptions,
  storage: NodeStorage,
  messaging: Messaging,
  trusted: () => boolean,
): EpochChain {
  return new EpochChain({
    world,
    messaging,
    self: {
      id: options.id,
      storageId: storage.storageId,
      peer: options.peer,
      url: options.url,
      zone: options.zone,
      weight: options.weight,
    },
    boot: storage.boot,
    founders: options.founders,
    partitionCount: options.partitionCount,
    foundingPatience: options.foundingPatience,
    seeds: seedsOf(options).map(({ id }) => id),
    joining: options.joining,
    trusted,
  });
}

export function foundersText(options: NodeOptions): string {
  return options.founders
    .map(({ id, peer }) => `${id}=${peer}`)
    .sort()
    .join(',');
}
