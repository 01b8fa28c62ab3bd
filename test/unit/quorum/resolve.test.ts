import { expect, test } from 'vitest';
import fc from 'fast-check';
import { parseQuorumWord, resolveConsistency, resolveQuorum, resolveRead, resolveWrite } from '#quorum/resolve.ts';
import type { QuorumWord } from '#quorum/words.ts';

const READ = { r: 'quorum', pr: 0 } as const;
const WRITE = { w: 'quorum', pw: 0, dw: 'quorum' } as const;

test('words and canonical whole numbers are quorum words', () => {
  for (const word of ['one', 'quorum', 'all'] as const) expect(parseQuorumWord(word)).toBe(word);
  for (const number of [0, 1, 3, 10, 999_999]) expect(parseQuorumWord(String(number))).toBe(number);
  const others = [
    '',
    'abc',
    '-1',
    '03',
    '00',
    '1e1',
    '1.0',
    ' 1',
    '1 ',
    '+1',
    '0x1',
    '١',
    'One',
    'ALL',
    'NaN',
    'toString',
  ];
  for (const text of [...others, '9'.repeat(16), '1\n'])
    expect(parseQuorumWord(text), JSON.stringify(text)).toBeUndefined();
});

test('words follow the number of replicas', () => {
  const table = [1, 2, 3, 4, 5, 6, 7].map((replicas) =>
    (['one', 'quorum', 'all', 2] as const).map((word) => resolveQuorum(word, replicas)),
  );
  expect(table.map((row) => row.join(' '))).toEqual([
    '1 1 1 2',
    '1 2 2 2',
    '1 2 3 2',
    '1 3 4 2',
    '1 3 5 2',
    '1 4 6 2',
    '1 4 7 2',
  ]);
});

test('reads of a usual bucket', () => {
  expect(resolveRead({}, READ, 3, 3)).toEqual({ kind: 'ok', r: 2, pr: 0 });
  expect(resolveRead({}, READ, 3, 100)).toEqual({ kind: 'ok', r: 2, pr: 0 });
  expect(resolveRead({}, READ, 3, 1)).toEqual({ kind: 'ok', r: 1, pr: 0 });
  expect(resolveRead({ r: 'all', pr: 'one' }, READ, 3, 2)).toEqual({ kind: 'ok', r: 2, pr: 1 });
  expect(resolveRead({ r: 1 }, { r: 'quorum', pr: 'quorum' }, 3, 3)).toEqual({ kind: 'ok', r: 1, pr: 1 });
  expect(resolveRead({ pr: 0 }, { r: 'quorum', pr: 'quorum' }, 3, 3)).toEqual({ kind: 'ok', r: 2, pr: 0 });
});

test('writes of a usual bucket', () => {
  expect(resolveWrite({}, WRITE, 3, 3)).toEqual({ kind: 'ok', w: 2, pw: 0, dw: 2 });
  expect(resolveWrite({ w: 1 }, WRITE, 3, 3)).toEqual({ kind: 'ok', w: 1, pw: 0, dw: 1 });
  expect(resolveWrite({ w: 3, dw: 0, pw: 2 }, WRITE, 3, 3)).toEqual({ kind: 'ok', w: 3, pw: 2, dw: 0 });
  expect(resolveWrite({ w: 'all' }, { w: 1, pw: 'all', dw: 3 }, 3, 2)).toEqual({ kind: 'ok', w: 2, pw: 2, dw: 2 });
});

test('mistakes of the client say what is allowed', () => {
  const range = (name: string, least: number) => ({
    kind: 'invalid',
    parameter: name,
    detail: expect.stringContaining(
      `n=3 replicas of a key, so ${name} is ${least} to 3, or one, quorum, all`,
    ) as string,
  });
  expect(resolveRead({ r: 4 }, READ, 3, 3)).toEqual(range('r', 1));
  expect(resolveRead({ r: 0 }, READ, 3, 3)).toEqual(range('r', 1));
  expect(resolveRead({ pr: 4 }, READ, 3, 3)).toEqual(range('pr', 0));
  expect(resolveWrite({ w: 0 }, WRITE, 3, 3)).toEqual(range('w', 1));
  expect(resolveWrite({ w: 4 }, WRITE, 3, 1)).toEqual(range('w', 1));
  expect(resolveWrite({ w: 3, pw: 5 }, WRITE, 3, 3)).toEqual(range('pw', 0));
  expect(resolveWrite({ dw: 4 }, WRITE, 3, 3)).toEqual(range('dw', 0));

  const detail = (result: object) => ('detail' in result ? result.detail : result);
  expect(detail(resolveRead({ r: 1, pr: 2 }, READ, 3, 3))).toBe('pr=2 is more than r=1');
  expect(detail(resolveRead({ pr: 3 }, READ, 3, 3))).toBe(
    "pr=3 is more than r=quorum (2 here), the bucket's default; give r as well",
  );
  expect(detail(resolveWrite({ w: 'one', pw: 'quorum' }, WRITE, 3, 3))).toBe(
    'pw=quorum (2 here) is more than w=one (1 here)',
  );
  expect(resolveWrite({ w: 2, dw: 'all' }, WRITE, 3, 3)).toMatchObject({ kind: 'invalid', parameter: 'dw' });
});

test('a cluster that is too small is not the mistake of the client', () => {
  expect(resolveRead({ r: 3 }, READ, 3, 2)).toEqual({ kind: 'unavailable', needed: 3, of: 2 });
  expect(resolveRead({ pr: 2 }, READ, 3, 1)).toEqual({ kind: 'unavailable', needed: 2, of: 1 });
  expect(resolveWrite({}, { ...WRITE, w: 3 }, 3, 2)).toEqual({ kind: 'unavailable', needed: 3, of: 2 });
  expect(resolveWrite({ w: 2, dw: 3 }, WRITE, 3, 1)).toMatchObject({ kind: 'invalid', parameter: 'dw' });
  expect(resolveWrite({ w: 3, dw: 3 }, WRITE, 3, 1)).toEqual({ kind: 'unavailable', needed: 3, of: 1 });
  // An inherited number is lowered first, so it asks for no more than the request does.
  expect(resolveWrite({ w: 1 }, { w: 3, pw: 3, dw: 3 }, 3, 1)).toEqual({ kind: 'ok', w: 1, pw: 1, dw: 1 });
});

const anyWord: fc.Arbitrary<QuorumWord> = fc.oneof(
  fc.constantFrom('one' as const, 'quorum' as const, 'all' as const),
  fc.integer({ min: 0, max: 8 }),
);
const maybeWord = fc.option(anyWord, { nil: undefined });

/** What the text of the contract says about one write, sentence by sentence. */
function contract(
  asked: Record<'w' | 'pw' | 'dw', QuorumWord | undefined>,
  bucket: Record<'w' | 'pw' | 'dw', QuorumWord>,
  n: number,
  members: number,
): string {
  const replicas = Math.min(n, members);
  const value = (word: QuorumWord) =>
    word === 'one' ? 1 : word === 'all' ? replicas : word === 'quorum' ? [0, 1, 2, 2, 3, 3, 4, 4][replicas]! : word;
  const w = asked.w ?? bucket.w;
  if (w === 0 || value(w) > n) return 'invalid';
  const parts = [asked.pw, asked.dw].filter((word) => word !== undefined);
  if (parts.some((word) => value(word) > n)) return 'invalid';
  if (parts.some((word) => typeof word === 'number' && typeof w === 'number' && word > w)) return 'invalid';
  if ([w, ...parts].some((word) => value(word) > replicas)) return 'unavailable';
  if (parts.some((word) => value(word) > value(w))) return 'invalid';
  const part = (name: 'pw' | 'dw') => Math.min(value(asked[name] ?? bucket[name]), value(w));
  return `w=${value(w)} pw=${part('pw')} dw=${part('dw')}`;
}

test('equals the contract for anything asked', () => {
  fc.assert(
    fc.property(
      fc.record({ w: maybeWord, pw: maybeWord, dw: maybeWord }),
      fc.record({ w: anyWord, pw: anyWord, dw: anyWord }),
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 9 }),
      (asked, bucket, n, members) => {
        const write = resolveWrite(asked, bucket, n, members);
        const said = write.kind === 'ok' ? `w=${write.w} pw=${write.pw} dw=${write.dw}` : write.kind;
        expect(said).toBe(contract(asked, bucket, n, members));

        const read = resolveRead({ r: asked.w, pr: asked.pw }, { r: bucket.w, pr: bucket.pw }, n, members);
        const asWrite = resolveWrite({ ...asked, dw: 0 }, bucket, n, members);
        const asRead = asWrite.kind === 'ok' ? { kind: 'ok', r: asWrite.w, pr: asWrite.pw } : { kind: asWrite.kind };
        expect(read).toMatchObject(asRead);
      },
    ),
    { numRuns: 3000 },
  );
});

test('consistency words', () => {
  const numbers = (word: string, n = 3) => {
    const meaning = resolveConsistency(word);
    if (meaning.kind !== 'ok') return meaning.kind;
    const read = resolveRead(meaning.read, { r: 'quorum', pr: 'one' }, n, n);
    const write = resolveWrite(meaning.write, { w: 'quorum', pw: 'one', dw: 'quorum' }, n, n);
    if (read.kind !== 'ok' || write.kind !== 'ok') return 'contradiction';
    const sloppy = meaning.sloppy ?? "the bucket's";
    const local = meaning.local ? ' local' : '';
    return `r=${read.r} pr=${read.pr} w=${write.w} pw=${write.pw} dw=${write.dw} sloppy=${sloppy}${local}`;
  };
  expect(numbers('one')).toBe("r=1 pr=1 w=1 pw=1 dw=1 sloppy=the bucket's");
  expect(numbers('quorum')).toBe("r=2 pr=1 w=2 pw=1 dw=2 sloppy=the bucket's");
  expect(numbers('quorum', 5)).toBe("r=3 pr=1 w=3 pw=1 dw=3 sloppy=the bucket's");
  expect(numbers('strict_quorum')).toBe('r=2 pr=2 w=2 pw=2 dw=2 sloppy=false');
  expect(numbers('all')).toBe('r=3 pr=3 w=3 pw=3 dw=3 sloppy=false');
  expect(numbers('local_quorum')).toBe("r=1 pr=1 w=1 pw=1 dw=1 sloppy=the bucket's local");
  for (const text of ['', 'strong', 'Quorum', 'constructor', '2']) {
    expect(resolveConsistency(text)).toEqual({
      kind: 'invalid',
      detail: `consistency: ${JSON.stringify(text)} is not a level; these are: one, quorum, strict_quorum, all, local_quorum`,
    });
  }
});
