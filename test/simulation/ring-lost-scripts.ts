/** Scripts for ring changes in which an operator gives up what members have that are gone for good, as it seems. */

import { strictQuorum } from './levels.ts';
import { HOLDS_NO_CLIENTS, type RingStage } from './ring-stage.ts';
import type { Stage } from './stage.ts';

const STRONG = strictQuorum({ owners: 3, mode: 'strong' });
/** Longer than it takes to move a partition whose members all answer. */
const MOVED_MS = 15_000;
const STATES = /^(replica\.store|handoff\.|repair\.(nodes|leaves|keys|pull|push|forest|roots))/;

type RingScript = (stage: Stage, ring: RingStage) => Promise<void>;

export const RING_LOST_STRONG_SCRIPTS = {
  /**
   * Two owners have accepted a value, of which one leaves. The newcomer hears of no vote, cannot be reached any more when it serves
   * reads, and is given up; then it is back, beside the owner that knows of nothing.
   */
  'a-newcomer-that-was-given-up-is-back': async (stage, ring) => {
    const cast = await ring.cast({ replace: { n5: 'n6' } });
    const { leaver, incoming, outsider, staying, first, apply } = cast;
    const { target, proposer } = ring.strongIn(cast);
    const [has, lacks] = staying[1] === proposer ? [staying[1], staying[0]] : staying;
    await stage.put(outsider, target, STRONG);
    ring.loses(/^register\.accept/, ring.others(lacks), [lacks]);
    await stage.put(outsider, target, STRONG);
    ring.loses(/^register\.page/, [incoming], ring.others(incoming));
    await apply();
    await ring.until(cast, first, 'read-new');
    ring.cut(incoming, ring.others(incoming));
    await stage.pass(HOLDS_NO_CLIENTS);
    await ring.steer(first, 'abort', { acceptLossOf: [incoming.id] });
    await ring.over();
    ring.clear();
    ring.loses(/^register\.(page|accept)/, [incoming], ring.others(incoming));
    await stage.pass(HOLDS_NO_CLIENTS);
    ring.cut(has, ring.others(has));
    await stage.pass(HOLDS_NO_CLIENTS);
    await stage.get(outsider, target, STRONG);
    // Then it can be heard, and whoever has the last write still cannot.
    ring.clear();
    ring.cut(has, ring.others(has));
    await stage.pass(HOLDS_NO_CLIENTS);
    await stage.get(outsider, target, STRONG);
    ring.clear();
    await stage.pass(MOVED_MS);
    await stage.mustAnswer(leaver === outsider ? first : outsider, target, STRONG);
  },
} satisfies Readonly<Record<string, RingScript>>;

export const RING_LOST_SCRIPTS = {
  ...RING_LOST_STRONG_SCRIPTS,
  /** Of the two owners that have a write one is given up; the other, which is not, cannot be reached by the newcomer. */
  'what-others-have-is-not-given-up': async (stage, ring) => {
    const { leaver, incoming, first, other, outsider, target } = await ring.cast({ replace: { n5: 'n6' } });
    ring.loses(STATES, [other, leaver, outsider], [first]);
    await ring.put(other, target);
    ring.cut(leaver, ring.others(leaver));
    ring.cut(incoming, [other]);
    await stage.pass(HOLDS_NO_CLIENTS);
    const { id } = await ring.plan(first, { replace: { n5: 'n6' }, acceptLossOf: ['n5'] });
    await ring.apply(first, id);
    await stage.pass(MOVED_MS);
    ring.loses(STATES, [other], ring.others(other));
    ring.cut(outsider, [other]);
    await stage.pass(HOLDS_NO_CLIENTS);
    await ring.get(outsider, target);
    ring.clear();
    await ring.over();
    await ring.get(outsider, target);
  },
  /** Two of three owners leave and are given up; one of them alone has a write, and is back before they are out. */
  'who-was-given-up-is-back-in-time': async (stage, ring) => {
    const [first] = stage.machines();
    for (const id of ['n6', 'n7']) await ring.newcomer(id);
    const change = { replace: { n4: 'n6', n5: 'n7' } };
    const target = ring.givenAwayBy(['n4', 'n5'], (await ring.plan(first, change)).moves);
    const leavers = ['n4', 'n5'].map((id) => stage.arena.cluster.machine(id));
    for (const leaver of leavers) ring.cut(leaver, ring.others(leaver));
    await stage.pass(HOLDS_NO_CLIENTS);
    await ring.putAlone(leavers[1]!, target);
    const { id } = await ring.plan(first, { ...change, acceptLossOf: ['n4', 'n5'] });
    await ring.apply(first, id);
    await stage.pass(4000);
    ring.clear();
    ring.loses(/^(replica\.store|handoff\.)/, leavers, ring.others(leavers[1]!));
    await ring.over();
    ring.clear();
    await ring.get(first, target);
  },
} satisfies Readonly<Record<string, RingScript>>;
