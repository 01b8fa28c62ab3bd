/** The addresses that a node tells others to reach it under: where its doors are, unless that is every address of its machine. */

import { isIP } from 'node:net';
import { ConfigError } from '#config.ts';
import { formatHostPort, type HostPort } from '#setting-readers.ts';
import type { Settings } from '#settings.ts';

type Doors = Pick<Settings, 'advertise' | 'advertise-url' | 'listen' | 'peer-listen' | 'tls-cert'>;

/** Throws {@link ConfigError} when it is not known; in the ring it stands for this node for ever. */
export function peerAddress(settings: Doors, origins: Readonly<Record<string, string>>): string {
  const { advertise, 'peer-listen': door } = settings;
  if (advertise !== undefined) return formatHostPort(advertise);
  if (!isEverywhere(door)) return formatHostPort(door);
  throw new ConfigError(
    `setting peer-listen (${origins['peer-listen']}): ${formatHostPort(door)} is every address of this machine and none that others can dial; set advertise to the one under which they reach it`,
  );
}

/** Base URL for clients; empty when it is not known, and then clients go only where they were told by hand. */
export function clientUrl({ listen, ...settings }: Doors): string {
  const given = settings['advertise-url'];
  if (given !== undefined) return given;
  if (isEverywhere(listen)) return '';
  return `${settings['tls-cert'] === undefined ? 'http' : 'https'}://${formatHostPort(listen)}`;
}

/** 0.0.0.0 and ::, in whatever spelling. */
function isEverywhere({ host }: HostPort): boolean {
  return isIP(host) !== 0 && /^[0.:]+$/.test(host);
}
