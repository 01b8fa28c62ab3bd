/** What a benchmark is asked for. What was typed wrong is told in one line and ends it with 2, as a script does. */

import { basename } from 'node:path';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { mistakeIn } from '../scripts/mistakes.ts';

/** `numbers`: flags that take one; `lists`: those that take several with commas. All are above 0; a time to warm up may be 0. */
export function flagsFrom<T extends ParseArgsConfig>(
  config: T,
  numbers: readonly (keyof T['options'] & string)[] = [],
  lists: readonly (keyof T['options'] & string)[] = [],
): ReturnType<typeof parseArgs<T>> {
  try {
    const parsed = parseArgs(config);
    const values: Readonly<Record<string, unknown>> = parsed.values;
    for (const name of [...numbers, ...lists]) {
      const text = values[name];
      if (typeof text === 'string') checkNumbers(name, lists.includes(name) ? text.split(',') : [text]);
    }
    return parsed;
  } catch (error) {
    const mistake = mistakeIn(error);
    if (mistake === undefined) throw error;
    return refuse(mistake);
  }
}

function checkNumbers(name: string, texts: readonly string[]): void {
  const least = name.startsWith('warm') ? 'of 0 or more' : 'above 0';
  for (const one of texts) {
    const number = one.trim() === '' ? Number.NaN : Number(one);
    const isRight = number > 0 || (number === 0 && name.startsWith('warm'));
    if (!isRight || number === Infinity) refuse(`--${name} ${one}: a number ${least}`);
  }
}

/** The names that a flag lists with commas, all of them known. */
export function namesIn<T extends string>(flag: string, text: string, known: readonly T[]): readonly T[] {
  return text.split(',').map((name) => {
    const found = known.find((one) => one === name);
    return found ?? refuse(`--${flag} ${name}: ${known.join(', ')}`);
  });
}

export function refuse(mistake: string): never {
  const file = process.argv[1] ?? '';
  console.error(`${basename(file, '.ts')}: ${mistake} (the head of ${basename(file)} says what there is)`);
  process.exit(2);
}
