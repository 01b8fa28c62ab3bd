/** The wrong variants of the bug bank follow the source: seen at once, without the runs in which they have to be found. */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { BUGS } from '../simulation/bugs.ts';
import { edited } from '../simulation/source-edits.ts';

test.each(BUGS.map((bug) => [bug.name, bug] as const))('%s fits', (_name, { edits = [] }) => {
  for (const [file, inFile] of Map.groupBy(edits, (edit) => edit.file)) {
    const source = readFileSync(file, 'utf8');
    expect(edited(source, inFile)).not.toBe(source);
  }
});
