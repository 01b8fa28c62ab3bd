import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exportBucket } from '../../../src/cli/export-command.ts';
import { Resume } from '../../../src/cli/resume.ts';

test('an export whose file has lost what the note speaks of does not go on, and fills nothing up', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-export-'));
  try {
    const file = join(directory, 'data.ndjson');
    const mark = { bucket: 'b', of: 'prefix ""', keys: 3, bytes: 100, cursor: 'c' };
    writeFileSync(`${file}.progress`, JSON.stringify(mark));
    writeFileSync(file, 'short');
    const going = exportBucket('b', file, { url: 'http://127.0.0.1:1' });
    await expect(going).rejects.toThrow('is shorter than');
    expect(readFileSync(file, 'utf8')).toBe('short');
    for (const note of ['', '{', 'null', '{"bucket":"b"}']) {
      writeFileSync(`${file}.progress`, note);
      await expect(exportBucket('b', file, { url: 'http://127.0.0.1:1' })).rejects.toThrow('is damaged');
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a run whose work another one has taken over ends, and takes nothing away', () => {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-export-'));
  try {
    const path = join(directory, 'data.progress');
    const [one, other] = [new Resume(path, 'b', 'x'), new Resume(path, 'b', 'x')];
    one.note({ keys: 1, bytes: 10 });
    one.hold();
    expect(other.read()).toMatchObject({ keys: 1, bytes: 10 });
    other.note({ keys: 1, bytes: 10 });
    for (const late of [() => one.hold(), () => one.note({ keys: 2, bytes: 20 }), () => one.finish()])
      expect(late).toThrow('another one of the same command has gone on');
    expect(other.read()).toMatchObject({ keys: 1, bytes: 10 });
    other.finish();
    expect(() => one.hold()).toThrow('another one');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
