/** What a benchmark is asked for. What was typed wrong is told in one line and ends it with 2, as a script does. */

import { basename } from 'node:path';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { mistakeIn } from '../scripts/mistakes.ts';

export function flagsFrom<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    const mistake = mistakeIn(error);
    if (mistake === undefined) throw error;
    return refuse(mistake);
  }
}

export function refuse(mistake: string): never {
  const file = process.argv[1] ?? '';
  console.error(`${basename(file, '.ts')}: ${mistake} (the head of ${basename(file)} says what there is)`);
  process.exit(2);
}
