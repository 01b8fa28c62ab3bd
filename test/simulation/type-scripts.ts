/** Scripts about data types: who counts what, and what somebody who takes away has seen. */

import { StoreMessage } from '#replica/messages.ts';
import { decodeEnvelope } from '#wire/envelope.ts';
import type { Machine } from './cluster.ts';
import { levelsFor, strictAll, strictQuorum, type Level } from './levels.ts';
import type { Stage } from './scenarios.ts';
import type { Composed, TypeClients, TypeKey } from './type-clients.ts';

const FACTS = { owners: 3, mode: 'siblings' } as const;
const STRICT = strictQuorum(FACTS);
const ALL = strictAll(FACTS);
const ONE = levelsFor(FACTS).find(({ query }) => query === 'consistency=one')!;
/** After so long a node knows that it is cut off. */
const CUT_OFF_MS = 4500;
const ROUNDS = 4;

type Machines = readonly [Machine, Machine, Machine];

/** Does the same to several keys, with the nodes in changing roles; all is well before and after each time. */
async function rounds(
  stage: Stage,
  bucket: string,
  sequence: (key: TypeKey, machines: Machines, acts: Acts) => Promise<void>,
): Promise<void> {
  const machines = stage.machines();
  const acts = new Acts(stage);
  for (let round = 0; round < ROUNDS; round++) {
    const order = machines.map((_, i) => machines[(i + round) % 3]!) as unknown as Machines;
    await sequence({ bucket: acts.types.bucket(bucket), key: `round${round}` }, order, acts);
    await stage.heal();
  }
}

class Acts {
  readonly types: TypeClients;
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.types = stage.arena.types!;
  }

  async send(composed: Composed, machine: Machine): Promise<void> {
    await this.#stage.arena.cluster.simulation.settle(this.types.send(composed, machine));
  }

  async read(key: TypeKey, machine: Machine, level: Level, slot?: number): Promise<void> {
    await this.#stage.arena.cluster.simulation.settle(this.types.read(key, machine, level, slot));
  }

  /** Nobody gets states from this machine. */
  keepsToItself(machine: Machine, others: readonly Machine[]): void {
    const { network } = this.#stage.arena.cluster;
    for (const { host } of others) network.setFault(machine.host, host, { loses: carriesState });
  }
}

function carriesState(message: Uint8Array): boolean {
  const envelope = decodeEnvelope(message);
  return envelope.kind === 'request' && envelope.name === StoreMessage.name;
}

export const TYPE_SCRIPTS = {
  /** A node has sent an increment, loses its power before its own sync, comes back and increments again. */
  'counter-forgets-what-it-sent': async (stage: Stage): Promise<void> => {
    await rounds(stage, 'counters', async (key, [first], acts) => {
      await acts.send(acts.types.increment(key, 1, ALL), first);
      first.medium.extraSyncMilliseconds = 500;
      await acts.send(acts.types.increment(key, 2, STRICT), first);
      stage.crash(first);
      await stage.heal();
      await acts.send(acts.types.increment(key, 3, STRICT), first);
    });
  },
  /** Both sides of a partition count on from the same number. */
  'both-sides-count': async (stage: Stage): Promise<void> => {
    await rounds(stage, 'counters', async (key, [first, second, third], acts) => {
      await acts.send(acts.types.increment(key, 0, ALL), first);
      stage.cut(first, [second, third]);
      await stage.pass(CUT_OFF_MS);
      await acts.send(acts.types.increment(key, 1, ONE), first);
      await acts.send(acts.types.increment(key, 2, STRICT), second);
      await acts.send(acts.types.increment(key, 3, STRICT), third);
    });
  },
  /** Two attempts at one increment are made by nodes that could not know of each other, and meet. */
  'increments-meet': async (stage: Stage): Promise<void> => {
    await rounds(stage, 'counters', async (key, [first, second, third], acts) => {
      await acts.send(acts.types.increment(key, 0, ALL), first);
      acts.keepsToItself(first, [second, third]);
      const again = acts.types.increment(key, 1, STRICT, true);
      await acts.send(again, first);
      stage.cut(first, [second, third]);
      await stage.pass(CUT_OFF_MS);
      await acts.send(again, second);
      await acts.send(acts.types.increment(key, 2, STRICT), second);
      await stage.heal();
      await acts.send(again, third);
      await acts.send(acts.types.increment(key, 3, STRICT), first);
    });
  },
  /** Somebody takes away what he was shown, and meanwhile it has been added once more. */
  'added-again-before-it-is-taken': async (stage: Stage): Promise<void> => {
    for (const [bucket, field] of [
      ['tags', undefined],
      ['profiles', 'g'],
      ['flags', undefined],
    ] as const) {
      await rounds(stage, bucket, async (key, [first, second, third], acts) => {
        await acts.send(acts.types.add(key, 'on', ALL, false, field), first);
        await acts.read(key, first, ALL, 0);
        await acts.send(acts.types.add(key, 'on', ALL, false, field), second);
        await acts.send(acts.types.take(key, 'on', ALL, 0, field), third);
        await acts.read(key, first, ALL);
      });
    }
  },
  /** Somebody takes away what he was shown at a node that lacks it, beside something else that it lacks. */
  'taken-where-it-is-not-known': async (stage: Stage): Promise<void> => {
    await rounds(stage, 'tags', async (key, [first, second, third], acts) => {
      await acts.send(acts.types.add(key, 'stays-here', ALL), third);
      for (const { host } of [first, second])
        stage.arena.cluster.network.setFault(host, third.host, { loses: carriesState });
      await acts.send(acts.types.add(key, 'goes', STRICT), first);
      await acts.send(acts.types.add(key, 'stays', STRICT), second);
      await acts.read(key, first, STRICT, 0);
      await acts.send(acts.types.take(key, 'goes', ONE, 0), third);
    });
  },
} as const;
