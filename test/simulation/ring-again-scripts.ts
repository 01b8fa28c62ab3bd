/** Scripts for ring changes that meet what an earlier change, or something that is broken, has left behind. */

import { utf8 } from '#kernel/bytes.ts';
import { recordKey, REGISTERS } from '#replica/tables.ts';
import { strictQuorum } from './levels.ts';
import { HOLDS_NO_CLIENTS, type RingStage } from './ring-stage.ts';
import type { Stage } from './stage.ts';

const STRONG_KEYS = 24;
const STRONG = strictQuorum({ owners: 3, mode: 'strong' });
/** Longer than it takes to move a partition whose members all answer. */
const MOVED_MS = 15_000;
const STATES = /^(replica\.store|handoff\.|repair\.(nodes|leaves|keys|pull|push|forest|roots))/;
/** A node that is no member any more introduces itself again within this time. */
const WAITS_MS = 4000;

type RingScript = (stage: Stage, ring: RingStage) => Promise<void>;

async function planOverDebt(stage: Stage, ring: RingStage, until: 'planned' | 'dual'): Promise<void> {
  const cast = await ring.cast({ join: ['n6'] });
  const { leaver, other, first, target, apply } = cast;
  ring.cut(leaver, ring.others(leaver));
  await stage.pass(HOLDS_NO_CLIENTS);
  await ring.putAlone(leaver, target);
  await apply();
  await ring.over();
  for (const id of ['n7', 'n8']) await ring.newcomer(id);
  ring.cut(leaver, ring.others(leaver));
  const { id } = await ring.plan(first, { replace: { [leaver.id]: 'n7', [other.id]: 'n8' } });
  await ring.apply(first, id);
  await ring.until(cast, first, until);
  await ring.steer(first, 'abort');
  await ring.over();
  ring.clear();
  await stage.pass(MOVED_MS);
  await ring.brought();
  ring.hasNothingOf(leaver, target);
  await ring.get(first, target);
}

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
  /**
   * Of the two owners that have accepted a value one leaves, and the register of the other is damaged. The new owner hears that
   * one, and the third, which knows of nothing; the leaver it cannot reach.
   */
  'a-register-is-damaged-while-its-owners-change': async (stage, ring) => {
    const cast = await ring.cast({ replace: { n5: 'n6' } });
    const { leaver, incoming, outsider, staying, apply } = cast;
    const { target, proposer } = ring.strongIn(cast);
    const [has, lacks] = staying[1] === proposer ? [staying[1], staying[0]] : staying;
    await stage.put(outsider, target, STRONG);
    ring.loses(/^register\.accept/, ring.others(lacks), [lacks]);
    await stage.put(outsider, target, STRONG);
    has.medium.flipByte(REGISTERS, recordKey(target.bucket.name, 0, utf8(target.key)), 9);
    ring.clear();
    ring.cut(incoming, [leaver]);
    await apply();
    await ring.until(cast, incoming, 'read-new');
    await stage.pass(HOLDS_NO_CLIENTS);
    await stage.get(outsider, target, STRONG);
    ring.clear();
    await ring.over();
    await stage.pass(WAITS_MS);
    await stage.mustAnswer(outsider, target, STRONG);
  },
} satisfies Readonly<Record<string, RingScript>>;

export const RING_AGAIN_SCRIPTS = {
  ...RING_AGAIN_STRONG_SCRIPTS,
  /** Who has to bring what it alone has is away; the next change does without it, and is taken back before it has begun. */
  'a-debt-outlives-a-plan': (stage, ring) => planOverDebt(stage, ring, 'planned'),
  /** The same when both sets of owners take writes already. */
  'a-debt-outlives-a-move': (stage, ring) => planOverDebt(stage, ring, 'dual'),
  /** Of two former owners of a partition one leaves, and the other, which stays, is away: nobody waits for what that one has. */
  'a-leaver-beside-one-that-is-away': async (stage, ring) => {
    const [first] = stage.machines();
    for (const id of ['n6', 'n7']) await ring.newcomer(id);
    const { id, moves } = await ring.plan(first, { join: ['n6', 'n7'], leave: ['n5'] });
    const places = new Set(moves.filter(({ from }) => from === 'n5').map(({ partition }) => partition));
    const stays = moves.find(({ from, partition }) => from !== 'n5' && from !== first.id && places.has(partition))!;
    const away = stage.arena.cluster.machine(stays.from!);
    ring.cut(away, ring.others(away));
    await stage.pass(HOLDS_NO_CLIENTS);
    await ring.apply(first, id);
    await ring.over();
    ring.clear();
    await ring.brought();
    await stage.pass(HOLDS_NO_CLIENTS);
  },
  /** A hint comes late to a node that leaves: whoever drives has heard already that it keeps nothing. */
  'a-hint-for-somebody-else-comes-to-a-leaver': async (stage, ring) => {
    const cast = await ring.cast({ replace: { n5: 'n6' } });
    const { first, leaver, apply } = cast;
    const { target, absent } = ring.attendedBy(cast);
    ring.cut(absent, ring.others(absent));
    await stage.pass(HOLDS_NO_CLIENTS);
    const release = ring.holds(first, leaver, 'handoff.hint');
    const writing = ring.puttingSloppily(first, target, 4 * MOVED_MS);
    await stage.pass(50);
    await apply();
    await ring.isFree(leaver);
    ring.loses(/^consensus\.(prepare|accept)$/, [first], ring.others(first));
    await stage.pass(3000);
    release();
    await stage.pass(1000);
    ring.clear();
    ring.cut(absent, ring.others(absent));
    await ring.over();
    ring.keepsNoHints(leaver);
    ring.clear();
    await stage.during(writing, 0, () => undefined);
    await stage.pass(HOLDS_NO_CLIENTS);
  },
  /** A new owner that has taken over what there was has a row damaged before it serves reads. */
  'a-row-of-a-new-owner-is-damaged': async (stage, ring) => {
    const cast = await ring.cast({ replace: { n5: 'n6' } });
    const { other, leaver, first, incoming, outsider, target, apply } = cast;
    ring.loses(STATES, [leaver, first, outsider], [other]);
    ring.cut(incoming, [other]);
    await ring.put(leaver, target);
    await apply();
    await ring.hasTaken(cast, incoming);
    ring.damages(cast, incoming);
    ring.loses(STATES, [leaver, first], [incoming]);
    await ring.until(cast, incoming, 'read-new');
    ring.cut(outsider, [first]);
    await stage.pass(HOLDS_NO_CLIENTS);
    await ring.get(outsider, target);
    ring.clear();
    await ring.over();
    await ring.get(outsider, target);
  },
} satisfies Readonly<Record<string, RingScript>>;
