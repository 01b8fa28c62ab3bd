/**
 * Which doors may be opened. What is reachable from elsewhere must be guarded: beyond loopback a door wants TLS, so that
 * nobody listens in, a secret, so that nobody joins in, and for clients something that says who they are: tokens, or
 * certificates; unless the operator says that the network is guarded otherwise.
 */

import { formatHostPort, type HostPort } from '#setting-readers.ts';
import { type Settings } from '#settings.ts';

type Origins = Readonly<Record<string, string>>;
type Doors = Pick<
  Settings,
  | 'listen'
  | 'peer-listen'
  | 'insecure'
  | 'auth'
  | 'cluster-secret'
  | 'cluster-secret-file'
  | 'tls-cert'
  | 'tls-key'
  | 'tls-client-ca'
  | 'peer-tls-cert'
  | 'peer-tls-key'
  | 'peer-tls-ca'
>;

/** What belongs together: a name without one of those that it needs means nothing. */
const NEEDS = {
  'tls-cert': ['tls-key'],
  'tls-key': ['tls-cert'],
  'tls-client-ca': ['tls-cert', 'tls-key'],
  'peer-tls-cert': ['peer-tls-key', 'peer-tls-ca'],
  'peer-tls-key': ['peer-tls-cert', 'peer-tls-ca'],
  'peer-tls-ca': ['peer-tls-cert', 'peer-tls-key'],
} as const;

/** What is wrong with the doors as they are set up, in one line; undefined when they may be opened. */
export function checkDoors(settings: Doors, origins: Origins): string | undefined {
  for (const [name, needed] of Object.entries(NEEDS) as [keyof typeof NEEDS, readonly (keyof typeof NEEDS)[]][]) {
    const missing = needed.find((other) => settings[other] === undefined);
    if (settings[name] !== undefined && missing !== undefined) {
      return `setting ${name} (${origins[name]}): it is of no use without ${missing}; set ${[name, ...needed].join(', ')}`;
    }
  }
  if (settings.insecure) return undefined;
  for (const [name, missing] of [
    ['listen', missingAtClientDoor(settings)],
    ['peer-listen', missingAtPeerDoor(settings)],
  ] as const) {
    if (isLoopback(settings[name]) || missing.length === 0) continue;
    return `setting ${name} (${origins[name]}): ${formatHostPort(settings[name])} is reachable from elsewhere, which needs ${missing.join(', and ')}; a loopback address is allowed without, and anything with --insecure`;
  }
  return undefined;
}

/** What the client door lacks before it may be opened beyond loopback. */
function missingAtClientDoor(settings: Doors): readonly string[] {
  const tls = settings['tls-cert'] === undefined ? ['tls-cert with tls-key'] : [];
  const known = settings.auth === 'tokens' || settings['tls-client-ca'] !== undefined;
  return [...tls, ...missingSecret(settings), ...(known ? [] : ['auth=tokens or tls-client-ca'])];
}

function missingAtPeerDoor(settings: Doors): readonly string[] {
  const tls = settings['peer-tls-cert'] === undefined ? ['peer-tls-cert with peer-tls-key and peer-tls-ca'] : [];
  return [...tls, ...missingSecret(settings)];
}

function missingSecret(settings: Doors): readonly string[] {
  const given = settings['cluster-secret'] !== undefined || settings['cluster-secret-file'] !== undefined;
  return given ? [] : ['cluster-secret-file'];
}

function isLoopback({ host }: HostPort): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
