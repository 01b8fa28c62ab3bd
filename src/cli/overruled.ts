/**
 * What a node was told of its place in the ring when the ring says something else. Zone and weight are asked for once, when it becomes
 * a member; from then on the ring counts, and a plan changes it. Who gives the node another setting has to be told.
 */

import type { Member } from '#ring/ring.ts';
import type { Log } from '#world/world.ts';
import type { Settings } from '#settings.ts';

export function warnOfOverruled(
  log: Pick<Log, 'warn'>,
  member: Pick<Member, 'id' | 'zone' | 'weight'> | undefined,
  settings: Pick<Settings, 'zone' | 'weight'>,
  origins: Readonly<Record<string, string>>,
): void {
  if (member === undefined) return;
  for (const setting of ['zone', 'weight'] as const) {
    const given = settings[setting];
    const inForce = member[setting];
    // Nobody has asked for a default.
    if (given === inForce || origins[setting] === 'default') continue;
    const reason = `the ring was made with ${setting} ${inForce}, and counts: quoral ring plan --${setting} ${member.id}=${given} changes it`;
    log.warn('setting-overruled', { setting, origin: origins[setting], given, inForce, reason });
  }
}
