/** Scripts for ring changes that meet what an earlier change, or something that is broken, has left behind. */

import { strictQuorum } from './levels.ts';
import type { RingStage } from './ring-stage.ts';
import type { Stage } from './scenarios.ts';

const STRONG_KEYS = 24;
const STRONG = strictQuorum({ owners: 3, mode: 'strong' });
/** A node that is no member any more introduces itself again within this time. */
const WAITS_MS = 4000;

type RingScript = (stage: Stage, ring: RingStage) => Promise<void>;

export const RING_AGAIN_STRONG_SCRIPTS = {
  /** Two nodes come with a change that is taken back, and again, under the same names: two of three owners are new ones then. */
  'strong-keys-of-names-that-join-again': async (stage, ring) => {
    const [first, , third] = stage.machines();
    const keys = Array.from({ length: STRONG_KEYS }, (_, i) => stage.strongKey(`again${i}`));
    for (const key of keys) await stage.put(first, key, STRONG);
    for (const id of ['n6', 'n7']) await ring.newcomer(id);
    const change = { replace: { n4: 'n6', n5: 'n7' } };
    const tried = await ring.plan(first, change);
    await ring.apply(first, tried.id);
    await ring.steer(first, 'abort');
    await ring.over();
    await stage.pass(WAITS_MS);
    const { id } = await ring.plan(first, change);
    await ring.apply(first, id);
    await ring.over();
    for (const key of keys) await stage.get(third, key, STRONG);
  },
} satisfies Readonly<Record<string, RingScript>>;

export const RING_AGAIN_SCRIPTS = {
  ...RING_AGAIN_STRONG_SCRIPTS,
} satisfies Readonly<Record<string, RingScript>>;
