/**
 * How many files this process may open, and what part of that clients get: beyond the limit the operating system lets nobody in,
 * the disk and the other nodes no more than clients, and says so to none of them.
 */

import { readFileSync } from 'node:fs';
import { MAX_CONNECTIONS } from '#api/server.ts';
import { PEER_CONNECTIONS_MAX } from '#world/real/network.ts';
import type { Log } from '#world/world.ts';
import { ConfigError } from '#config.ts';

/** For the disk, the log, certificates, and four connections with each of some sixty other nodes. */
const RESERVED = 320;
/** With less there is no use in beginning. */
export const OPEN_FILES_MIN = 128;

/** Undefined where the system does not say. Node.js has raised it as far as it may when it started. */
export function openFilesLimit(): number | undefined {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return line === null ? undefined : Number(line[1]);
  } catch {
    return undefined;
  }
}

/** Connections that the two doors may hold at once. */
export interface Shares {
  readonly clients: number;
  readonly peers: number;
}

/** What such a limit leaves to the doors, which is told of when it is the narrower bound. */
export function sharesOf(limit: number | undefined, log: Pick<Log, 'warn'>): Shares {
  const most = { clients: MAX_CONNECTIONS, peers: PEER_CONNECTIONS_MAX };
  const enough = most.clients + most.peers + RESERVED;
  if (limit === undefined || limit >= enough) return most;
  if (limit < OPEN_FILES_MIN) {
    throw new ConfigError(
      `this process may open ${limit} files, and a node needs ${OPEN_FILES_MIN} at least: raise the limit (ulimit -n, LimitNOFILE)`,
    );
  }
  const reserved = Math.min(RESERVED, Math.floor(limit / 2));
  // The other half of what is kept back is for connections that this node opens itself, and for its files.
  const shares = { clients: Math.min(most.clients, limit - reserved), peers: Math.floor(reserved / 2) };
  const reason = `this process may open ${limit} files; with ${enough} its doors could hold ${most.clients} and ${most.peers} connections (ulimit -n, LimitNOFILE)`;
  log.warn('open-files-few', { limit, ...shares, reason });
  return shares;
}
