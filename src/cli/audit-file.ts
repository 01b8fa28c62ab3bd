/**
 * Where the audit log goes: into the node's log, or into a file of its own. Each line is written by itself and the file is
 * opened for it anew, so it can be moved away at any time and never needs to be reopened; lines are few.
 */

import { appendFileSync } from 'node:fs';
import type { Log, LogFields } from '#world/world.ts';
import type { Settings } from '#settings.ts';

/** Readable by its owner only. */
const MODE = 0o600;

/** A line that the file does not take stands in the log. */
export function createAudit(settings: Pick<Settings, 'audit-file' | 'id'>, log: Log): (fields: LogFields) => void {
  const file = settings['audit-file'];
  if (file === undefined) return (fields) => log.info('audit', fields);
  return (fields) => {
    const line = { time: new Date().toISOString(), node: settings.id, event: 'audit', ...fields };
    try {
      appendFileSync(file, `${JSON.stringify(line)}\n`, { mode: MODE });
    } catch (error) {
      log.error('audit-file-failed', { file, reason: error instanceof Error ? error.message : String(error) });
      log.info('audit', fields);
    }
  };
}
