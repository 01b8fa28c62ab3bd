/** Scripts about data types: who counts what, and what somebody who takes away has seen. */

import { StoreMessage } from '#replica/messages.ts';
import { decodeEnvelope } from '#wire/envelope.ts';
import type { Machine } from './cluster.ts';
import { levelsFor, strictAll, strictQuorum, type Level } from './levels.ts';
import type { Stage } from './stage.ts';
import { snapshotOf } from './white-box.ts';
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

/** As long as increments stand apart, and what clocks may differ. */
const SETTLED_MS = 13 * 60_000;
/** So many increments are worth adding up. */
const MANY = 40;

/** How many entries the machine's row of the key has. */
function entriesAt(stage: Stage, machine: Machine, { bucket, key }: TypeKey): number {
  return snapshotOf(machine, bucket.name, 0, key, stage.arena.recorder).versions.length;
}

export const TYPE_SCRIPTS = {
  /** Increments that may be sent again stand apart until they may not, and then become one number. */
  'increments-are-added-up': async (stage: Stage): Promise<void> => {
    const acts = new Acts(stage);
    const [first, second] = stage.machines();
    const key = { bucket: acts.types.bucket('counters'), key: 'many' };
    for (let i = 0; i < MANY; i++) await acts.send(acts.types.increment(key, i % 3, ALL, true), first);
    const before = entriesAt(stage, first, key);
    await stage.pass(SETTLED_MS);
    await acts.send(acts.types.increment(key, 0, ALL), first);
    await stage.pass(1000);
    await acts.send(acts.types.increment(key, 0, ALL), first);
    const after = [first, second].map((machine) => entriesAt(stage, machine, key));
    if (before === MANY && after.every((entries) => entries === 1)) return;
    const detail = `of ${before} entries ${after.join(' and ')} are left when nobody can send them again`;
    stage.arena.find({ check: 'data-types', key: 'counters/many', detail });
  },
  /** One of them was made twice, by a node that is cut off since: it must stay apart until that one is back. */
  'an-attempt-waits-to-be-known': async (stage: Stage): Promise<void> => {
    const acts = new Acts(stage);
    const [first, second, third] = stage.machines();
    const key = { bucket: acts.types.bucket('counters'), key: 'apart' };
    acts.keepsToItself(third, [first, second]);
    const again = acts.types.increment(key, 4, STRICT, true);
    await acts.send(again, third);
    stage.cut(third, [first, second]);
    await stage.pass(CUT_OFF_MS);
    await acts.send(again, first);
    for (let i = 0; i < MANY; i++) await acts.send(acts.types.increment(key, i % 3, STRICT, true), first);
    await stage.pass(SETTLED_MS);
    for (let i = 0; i < 2; i++) {
      await acts.send(acts.types.increment(key, 0, STRICT), first);
      await stage.pass(6000);
    }
    await stage.heal();
  },
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
