/** Files that somebody takes away or exchanges while they are open: what is written to them would be lost with the descriptor. */

import { statSync } from 'node:fs';

/** Which file it is, whatever its name. */
export interface FileIdentity {
  readonly dev: number;
  readonly ino: number;
}

/** Throws when the path no longer leads to this file. */
export function assertInPlace(path: string, file: FileIdentity): void {
  const named = statSync(path, { throwIfNoEntry: false });
  if (named === undefined || named.ino !== file.ino || named.dev !== file.dev) {
    throw Object.assign(new Error(`${path} was removed or replaced`), { code: 'ESTALE' });
  }
}
