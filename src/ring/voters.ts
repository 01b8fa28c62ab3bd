/**
 * Who decides the next epochs: as many as there are up to the bound, spread over zones, so that losing a zone loses as few of
 * them as possible. Those who are voters already stay where others would be no better.
 */

import type { NodeIndex } from '#kernel/identity.ts';
import type { Member } from './ring.ts';
import { VOTERS_MAX } from './ring.ts';

/** Takes one member of each zone in turn. `members` are those that may vote. */
export function chooseVoters(members: readonly Member[], current: readonly NodeIndex[] = []): NodeIndex[] {
  const isVoter = (member: Member): number => Number(current.includes(member.index));
  const byStanding = members.toSorted((a, b) => isVoter(b) - isVoter(a) || a.index - b.index);
  const zones = [...Map.groupBy(byStanding, (member) => member.zone).values()];
  const voters: NodeIndex[] = [];
  for (let turn = 0; turn < members.length; turn++) {
    for (const zone of zones) {
      const member = zone[turn];
      if (member !== undefined && voters.length < VOTERS_MAX) voters.push(member.index);
    }
  }
  return voters.sort((a, b) => a - b);
}
