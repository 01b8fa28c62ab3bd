/** The epoch chain of a node, put together, and whom it meets before it knows an epoch. */

import { EpochChain } from '#consensus/epoch-chain.ts';
import type { NodeId } from '#kernel/identity.ts';
import type { NodeStorage } from '#replica/node-storage.ts';
import type { Messaging, Peer } from '#wire/messaging.ts';
import type { World } from '#world/world.ts';
import type { NodeOptions } from './node.ts';

/** What answers there, for as long as its name is not known: no name has a colon. */
export function seedsOf({ seeds = [], peer }: NodeOptions): readonly Peer[] {
  const others = new Set(seeds.filter((address) => address !== peer));
  return [...others].map((address) => ({ id: address as NodeId, address, seed: true }));
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
