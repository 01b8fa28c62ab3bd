/**
 * Scripts for ring changes: the interleavings by which a rule that is left out loses a write or lets a strict read miss it.
 * Five nodes, and a sixth that joins. Nodes are kept from learning of epochs, and messages from arriving, for exactly as long
 * as it takes; then all is well and the change goes to its end.
 */

import { strictQuorum } from './levels.ts';
import { HOLDS_NO_CLIENTS, type RingStage } from './ring-stage.ts';
import type { Stage } from './stage.ts';

/** Longer than it takes to move a partition whose members all answer. */
const MOVED_MS = 15_000;
const STRONG_KEYS = 24;
const STRONG = strictQuorum({ owners: 3, mode: 'strong' });
const REPLACES = { replace: { n5: 'n6' } };
const JOINS = { join: ['n6'] };
const STATES = /^(replica\.store|handoff\.|repair\.(nodes|leaves|keys|pull|push|forest|roots))/;
const STORES = /^(replica\.store|handoff\.)/;

type RingScript = (stage: Stage, ring: RingStage) => Promise<void>;

export const RING_SCRIPTS = {
  /** Two owners know nothing of the move, and take a write when the new owner has got all that there was before. */
  'old-rules-outlive-the-transfer': async (stage, ring) => {
    const { other, leaver, first, target, apply } = await ring.cast(REPLACES);
    ring.deaf(other, leaver);
    await apply();
    await stage.pass(MOVED_MS);
    await ring.put(other, target);
    ring.clear();
    await ring.over();
    await ring.get(first, target);
  },
  /** A reader knows of no move at all, and of those that it asks a former owner is one stage behind. */
  'a-reader-two-stages-behind': async (stage, ring) => {
    const cast = await ring.cast(REPLACES);
    const { other, leaver, first, incoming, outsider, target, apply } = cast;
    ring.deaf(outsider);
    await apply();
    await ring.until(cast, leaver, 'read-new');
    ring.deaf(leaver);
    for (const machine of [first, other, incoming]) await ring.until(cast, machine, 'offload');
    ring.loses(STATES, [other, incoming, leaver, outsider], [first]);
    await ring.put(other, target);
    ring.cut(outsider, [other]);
    await stage.pass(HOLDS_NO_CLIENTS);
    await ring.get(outsider, target);
    ring.clear();
    await ring.over();
  },
  /** Two old owners serve reads as before when the new owners alone are written to, unless all have to know first. */
  'writes-that-old-readers-miss': async (stage, ring) => {
    const cast = await ring.cast(REPLACES);
    const { other, leaver, first, target, apply } = cast;
    await apply();
    for (const machine of [other, leaver]) await ring.until(cast, machine, 'dual');
    ring.deaf(other, leaver);
    await stage.pass(MOVED_MS);
    await ring.put(first, target);
    ring.cut(first, [other]);
    await stage.pass(HOLDS_NO_CLIENTS);
    await ring.get(other, target);
    ring.clear();
    await ring.over();
    await ring.get(other, target);
  },
  /** An owner that is alone takes a write, and when it comes back it owns the partition no longer. */
  'a-former-owner-has-more': async (stage, ring) => {
    const cast = await ring.cast(JOINS);
    const { leaver, first, target, apply } = cast;
    ring.cut(leaver, ring.others(leaver));
    await stage.pass(HOLDS_NO_CLIENTS);
    await ring.putAlone(leaver, target);
    await apply();
    await ring.until(cast, first, 'offload');
    ring.clear();
    ring.loses(STORES, [leaver], ring.others(leaver));
    await ring.over();
    // The change does not wait for it.
    await ring.brought();
    ring.clear();
    await stage.pass(HOLDS_NO_CLIENTS);
    await ring.get(first, target);
  },
  /** The same with one that leaves: it is back before it is given up. */
  'a-leaver-is-back-in-time': async (stage, ring) => {
    const cast = await ring.cast(REPLACES);
    const { leaver, first, target, apply } = cast;
    ring.cut(leaver, ring.others(leaver));
    await stage.pass(HOLDS_NO_CLIENTS);
    await ring.putAlone(leaver, target);
    await apply();
    await ring.until(cast, first, 'read-new');
    await stage.pass(8000);
    ring.clear();
    ring.loses(STORES, [leaver], ring.others(leaver));
    await ring.over();
    ring.clear();
    await ring.get(first, target);
  },
  /** Of the two owners that have a write one leaves; the third has nothing. */
  'only-the-leaver-and-one-have-it': async (stage, ring) => {
    const cast = await ring.cast(REPLACES);
    const { leaver, target, staying, apply } = cast;
    const [lacks, has] = staying;
    ring.loses(STATES, [leaver, has], [lacks]);
    ring.loses(STATES, [lacks], [leaver, has]);
    await ring.put(leaver, target);
    await apply();
    await stage.pass(MOVED_MS);
    ring.clear();
    await ring.over();
    await ring.get(lacks, target);
  },
  /** While both sets take writes only one of the old owners gets it, and the new one. */
  'one-of-the-old-and-the-new-one': async (_stage, ring) => {
    const cast = await ring.cast(REPLACES);
    const { other, leaver, first, incoming, target, apply } = cast;
    await apply();
    for (const machine of [first, other, leaver, incoming]) await ring.until(cast, machine, 'dual');
    ring.loses(STORES, [first, incoming], [other, leaver]);
    await ring.put(first, target);
    ring.clear();
    await ring.over();
    await ring.get(other, target);
  },
  /** A write begins before the move, and its last owner gets it when the new owners serve reads. */
  'a-write-older-than-the-move': async (stage, ring) => {
    const cast = await ring.cast(REPLACES);
    const { other, leaver, first, incoming, target, apply } = cast;
    ring.loses(STORES, [other, leaver, incoming], [first]);
    ring.cut(incoming, [other]);
    await stage.pass(HOLDS_NO_CLIENTS);
    const release = ring.holds(other, leaver, 'replica.store');
    const writing = ring.putting(other, target, 4 * MOVED_MS);
    await stage.pass(50);
    await apply();
    for (const machine of [other, leaver]) await ring.until(cast, machine, 'read-new');
    release();
    await stage.pass(2000);
    ring.clear();
    await ring.over();
    await stage.during(writing, 0, () => undefined);
    await ring.get(incoming, target);
  },
  /** A value is deleted at all its owners while a former owner, who cannot bring what it has, has it still. */
  'a-former-owner-has-what-was-deleted': async (stage, ring) => {
    const cast = await ring.cast(JOINS);
    const { leaver, first, target, apply } = cast;
    await ring.putAtAll(first, target);
    await apply();
    await ring.until(cast, leaver, 'read-new');
    ring.loses(STATES, [leaver], ring.others(leaver));
    await ring.until(cast, first, 'offload');
    await ring.removeSeen(first, target);
    await stage.pass(MOVED_MS);
    ring.clear();
    await ring.over();
    await ring.get(first, target);
  },
  /** A proposal reaches nobody; others, who cannot know of it, propose something else. */
  'two-rings-are-proposed': async (stage, ring) => {
    const { first, other, id } = await ring.cast(REPLACES);
    const instead = await ring.plan(other, { weights: { n2: 2 } });
    ring.loses(/^consensus\.(accept|decided)/, [first], ring.others(first));
    ring.applying(first, id);
    await stage.pass(500);
    ring.cut(first, ring.others(first));
    await stage.pass(HOLDS_NO_CLIENTS);
    await ring.apply(other, instead.id);
    ring.clear();
    await stage.pass(HOLDS_NO_CLIENTS);
    await ring.over();
  },
  /** A write is at two of three owners, which leave both. */
  'all-that-have-it-leave': async (stage, ring) => {
    const target = ring.anyTarget();
    const [first, second, third] = stage.machines();
    ring.loses(STATES, [second, third], [first]);
    ring.loses(STATES, [first], [second, third]);
    await ring.put(second, target);
    const { id } = await ring.plan(first, { leave: ['n2', 'n3'] });
    await ring.apply(first, id);
    await stage.pass(MOVED_MS);
    ring.clear();
    await ring.over();
    await ring.get(first, target);
  },
  /** Strong keys of which two owners of three leave at once: new owners alone could be a majority that knows nothing. */
  'strong-keys-of-two-leavers': async (stage, ring) => {
    const [first, second, third] = stage.machines();
    const keys = Array.from({ length: STRONG_KEYS }, (_, i) => stage.strongKey(`moving${i}`));
    for (const key of keys) await stage.put(second, key, STRONG);
    const { id } = await ring.plan(first, { leave: ['n4', 'n5'] });
    await ring.apply(first, id);
    const over = ring.over();
    for (const key of keys) await stage.swapping(first, third, key, STRONG);
    await over;
    for (const key of keys) await stage.get(third, key, STRONG);
  },
} satisfies Readonly<Record<string, RingScript>>;
