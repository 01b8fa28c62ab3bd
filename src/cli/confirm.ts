/** Something that cannot be undone wants to be confirmed by somebody who has read what it means. */

import { createInterface } from 'node:readline/promises';
import { UsageError } from './output.ts';

/** Throws {@link UsageError} unless just that is typed. */
export async function confirm(question: string, expected: string): Promise<void> {
  if (!process.stdin.isTTY) throw new UsageError('nothing was done: --yes says that this is meant');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const typed = await terminal.question(question);
  terminal.close();
  if (typed.trim() !== expected) throw new UsageError('nothing was done');
}
