/** Numbered requests in a cluster that is being upgraded. */

import type { Numbered, RequestMark } from '#causality/repeats.ts';
import { NUMBERED_VERSION } from '#wire/handshake.ts';
import type { Environment } from './environment.ts';

/**
 * What a request says of others counts when all members know what that is. A node of an earlier release takes no such request from
 * a client, but as an owner of the key that is given a late copy by another node it would make it again. Of a member that has never
 * been met it is taken for granted: whoever upgrades node by node has each of them meet all others on the way.
 */
export function asAllKnow(
  { knowledge, messaging, self }: Pick<Environment, 'knowledge' | 'messaging' | 'self'>,
  mark: RequestMark | null,
): RequestMark | null {
  if (mark?.numbered === undefined) return mark;
  const { members } = knowledge.ring();
  const all = members.every(
    ({ id }) => id === self || (messaging.versionOf(id) ?? NUMBERED_VERSION) >= NUMBERED_VERSION,
  );
  const numbered: Numbered = { ...mark.numbered, answeredBelow: 0 };
  return all ? mark : { ...mark, numbered };
}
