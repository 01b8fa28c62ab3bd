/**
 * Watches, put together for a node.
 */

import { settlementOf } from '#buckets/definition.ts';
import { present } from '#kernel/assert.ts';
import type { Changes } from '#replica/changes.ts';
import type { NodeStorage } from '#replica/node-storage.ts';
import { Watches } from '#watch/watches.ts';
import type { QuoralNode } from './node.ts';

type Node = Pick<QuoralNode, 'world' | 'messaging' | 'chain' | 'buckets' | 'options' | 'coordinator'>;

/** Of one question what a strong key holds. */
const SETTLE_MS = 2000;

/** Registers handlers, so it must be made before messaging starts. `log` is the disk that `changes` are of. */
export function createWatches(node: Node, changes: Changes, log: NodeStorage): Watches {
  const { world, messaging, chain, buckets, options } = node;
  const watches = new Watches({
    ...{ world, messaging, changes, log, self: options.id, settings: options.watch },
    ring: () => present(chain.facts(), 'the facts of a founded cluster').ring,
    bucket: (name) => {
      const { incarnation, properties } = buckets.resolve(name);
      return { name, incarnation, conflicts: settlementOf(properties), strong: properties.consistency === 'strong' };
    },
    settle: (name, key, last) => {
      const deadline = world.clock.monotonic() + SETTLE_MS;
      return node.coordinator.strong.settled(
        { requestId: 'watch', bucket: buckets.resolve(name), key, deadline },
        last,
      );
    },
  });
  chain.onFacts(() => watches.factsChanged());
  return watches;
}
