/**
 * How many files this process may open, and what part of that clients get: beyond the limit the operating system lets nobody in,
 * the disk and the other nodes no more than clients, and says so to none of them.
 */

import { readFileSync } from 'node:fs';
import { MAX_CONNECTIONS } from '#api/server.ts';
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

/** Connections of clients at once under such a limit, which is told of when it is the narrower bound. */
export function connectionsMax(limit: number | undefined, log: Pick<Log, 'warn'>): number {
  if (limit === undefined) return MAX_CONNECTIONS;
  if (limit < OPEN_FILES_MIN) {
    throw new ConfigError(
      `this process may open ${limit} files, and a node needs ${OPEN_FILES_MIN} at least: raise the limit (ulimit -n, LimitNOFILE)`,
    );
  }
  const max = limit - Math.min(RESERVED, Math.floor(limit / 2));
  if (max >= MAX_CONNECTIONS) return MAX_CONNECTIONS;
  const reason = `of ${limit} files that this process may open clients get ${max}; with ${MAX_CONNECTIONS + RESERVED} they could have ${MAX_CONNECTIONS} connections (ulimit -n, LimitNOFILE)`;
  log.warn('open-files-few', { limit, connections: max, reason });
  return max;
}
