/** The wrong variants of the simulator's bug bank are edits of the source: whoever changes such a place hears of it here. */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { BUGS } from '../simulation/bugs.ts';
import { edited } from '../simulation/source-edits.ts';

const withEdits = BUGS.filter(({ edits }) => edits !== undefined);

test.each(withEdits.map(({ name, edits }) => [name, edits!] as const))('%s fits the source', (_name, edits) => {
  for (const file of new Set(edits.map((edit) => edit.file))) {
    const source = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
    const here = edits.filter((edit) => edit.file === file);
    expect(edited(source, here)).not.toBe(source);
  }
});
