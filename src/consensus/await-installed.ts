/**
 * Waiting until the members have installed an epoch, so that none of them handles a request by older facts.
 */

import type { Epoch, NodeId } from '#kernel/identity.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { World } from '#world/world.ts';
import type { EpochLog } from './epoch-log.ts';
import { installedEpoch } from './messages.ts';
import { backoff, sleep } from './waiting.ts';

export interface InstallationOptions {
  readonly world: World;
  readonly messaging: Messaging;
  readonly log: EpochLog;
  readonly self: NodeId;
  /** Milliseconds for one call. */
  readonly callTimeout: number;
  /** Milliseconds: bounds of the random wait between attempts. */
  readonly backoffFirst: number;
  readonly backoffLongest: number;
}

/** Asks every member, as long as it can be reached, until it has installed the epoch. Returns those that have not. */
export async function awaitInstalled(
  options: InstallationOptions,
  wanted: Epoch,
  deadline: number,
): Promise<readonly NodeId[]> {
  const { log, self } = options;
  const members = log.newest?.ring.members.filter(({ id, state }) => state !== 'removed' && id !== self) ?? [];
  const missing = await Promise.all(
    members.map(async ({ id }) => ((await hasInstalled(options, id, wanted, deadline)) ? [] : [id])),
  );
  return log.newestEpoch >= wanted ? missing.flat() : [self, ...missing.flat()];
}

async function hasInstalled(
  options: InstallationOptions,
  member: NodeId,
  wanted: Epoch,
  deadline: number,
): Promise<boolean> {
  const { world, messaging, callTimeout, backoffFirst, backoffLongest } = options;
  for (let attempt = 0; messaging.reachable(member); attempt++) {
    const now = world.clock.monotonic();
    if (now >= deadline) return false;
    const callDeadline = Math.min(deadline, now + callTimeout);
    const result = await messaging.call(member, installedEpoch, wanted, { deadline: callDeadline });
    if (result.kind === 'reply' && result.reply >= wanted) return true;
    await sleep(world.clock, backoff(world.random, attempt, backoffFirst, backoffLongest));
  }
  return false;
}
