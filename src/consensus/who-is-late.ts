/**
 * Before a change of the facts is acknowledged, every member that can be reached has to have it. Those that cannot will know it
 * before they serve again.
 */

import type { Epoch } from '#kernel/identity.ts';
import type { EpochChain } from './epoch-chain.ts';
import type { ProposalFailure } from './epoch-proposer.ts';

/** Waits for them; undefined when all have installed the epoch, and otherwise who has not. */
export async function whoIsLate(
  chain: Pick<EpochChain, 'facts' | 'awaitInstalled' | 'reaches'>,
  decided: Epoch,
  deadline: number,
): Promise<ProposalFailure | undefined> {
  const missing = await chain.awaitInstalled(decided, deadline);
  const late = missing.filter((member) => chain.reaches(member));
  if (late.length === 0) return undefined;
  const members = chain.facts()?.ring.members.filter(({ state }) => state !== 'removed') ?? [];
  const got = members.filter(({ id }) => !missing.includes(id)).length;
  const detail = `epoch ${decided} was decided, but ${late.join(', ')} has not installed it yet`;
  return { kind: 'failed', outcome: 'unknown', detail, votes: { needed: got + late.length, got } };
}
