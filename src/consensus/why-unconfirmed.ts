/** Why a node that knows an epoch is not confirmed, in words that tell what it waits for, or what helps where waiting does not. */

import type { NodeId } from '#kernel/identity.ts';
import type { Messaging } from '#wire/messaging.ts';
import { electorateAfter, memberNamed } from './electorate.ts';
import type { Standing } from './epoch-log.ts';
import type { Facts } from './facts.ts';

export const SUPERSEDED =
  'the cluster has given this name to another data directory; this one must not be used any more';

/** `lately`: why the last round of questions has not confirmed it, or the last proposal has not bound it, if one has ended. */
export function whyUnconfirmed(facts: Facts, standing: Standing, self: NodeId, lately: string | undefined): string {
  if (standing === 'superseded') return SUPERSEDED;
  if (standing === 'unbound') return whyUnbound(facts, self, lately);
  const waits = `a majority of the cluster has not confirmed epoch ${facts.epoch} yet`;
  return lately === undefined ? waits : `${waits}: ${lately}`;
}

function whyUnbound(facts: Facts, self: NodeId, lately: string | undefined): string {
  const names = memberNamed(facts, self)?.storageId === null ? 'no disk' : 'another disk';
  const named = `epoch ${facts.epoch} names ${names} of ${self}`;
  const wayOut = wayOutWithout(facts, self);
  if (wayOut !== undefined) return `${named}: put that one back, or, if it is gone for good, ${wayOut}`;
  const { voters } = electorateAfter(facts, []);
  const waits = `${named}, and a majority of the voters, ${voters.join(', ')}, has yet to bind it to the present one`;
  return lately === undefined ? waits : `${waits}: ${lately}`;
}

/** What to do when its disk is gone and the other voters are no majority without it; undefined when they are one. */
export function wayOutWithout(facts: Facts, id: NodeId): string | undefined {
  const { voters, majority } = electorateAfter(facts, []);
  const others = voters.filter((voter) => voter !== id);
  if (others.length >= majority) return undefined;
  return `stop ${id}, since the other voters are no majority, and go on without it: quoral ring force --lost ${id} at another member; then it joins as a new node, with an empty data directory`;
}

/** The node, with why it could not be connected with where that is known. */
export function withTrouble(messaging: Pick<Messaging, 'trouble'>, id: NodeId): string {
  const trouble = messaging.trouble(id);
  return trouble === undefined ? id : `${id} (${trouble})`;
}
