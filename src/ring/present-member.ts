/** Members by their names. A name is free again once its member is removed, and the removed member stays in the ring. */

import type { Member, Ring } from './ring.ts';

/** The member that has the name now. */
export function presentMember({ members }: Pick<Ring, 'members'>, name: string): Member | undefined {
  return members.find(({ id, state }) => id === name && state !== 'removed');
}
