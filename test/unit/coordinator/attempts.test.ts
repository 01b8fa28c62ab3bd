import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AnsweredAttempts, Attempts, type Attempt } from '#coordinator/attempts.ts';
import { toHex } from '#kernel/bytes.ts';

function attempts(): Attempts {
  let called = 0;
  return new Attempts({ uint32: () => 0, bytes: (length) => new Uint8Array(length).fill(++called) });
}

describe('the numbers of changes', () => {
  it('below the first that is not answered all are', () => {
    const own = attempts();
    const [a, b, c] = [own.begin(), own.begin(), own.begin()];
    expect(own.answeredBelow(c)).toBe(1);
    own.end(b);
    expect(own.answeredBelow(c)).toBe(1);
    own.end(a);
    expect(own.answeredBelow(c)).toBe(3);
    own.end(c);
    expect(own.answeredBelow(own.begin())).toBe(4);
  });

  it('after a doubt begin anew under another name', () => {
    const own = attempts();
    const [a, b] = [own.begin(), own.begin()];
    a.inDoubt = true;
    own.end(a);
    expect(own.answeredBelow(b)).toBe(0);
    own.end(b);
    const c = own.begin();
    expect(own.answeredBelow(c)).toBe(1);
    expect(toHex(c.id)).not.toBe(toHex(a.id));
  });

  it('never say of one that is under way or in doubt that it was answered, whatever ends in which order', () => {
    const steps = fc.array(fc.record({ pick: fc.nat(), inDoubt: fc.nat(9).map((chance) => chance === 0) }));
    fc.assert(
      fc.property(steps, (ends) => {
        const own = attempts();
        const proposer = new AnsweredAttempts();
        const open: Attempt[] = [own.begin(), own.begin(), own.begin()];
        const [ids, kept] = [new Set(open.map(({ id }) => toHex(id))), [] as Attempt[]];
        for (const { pick, inDoubt } of ends) {
          const [ended] = open.splice(pick % open.length, 1);
          ended!.inDoubt = inDoubt;
          own.end(ended!);
          if (inDoubt) kept.push(ended!);
          const begun = own.begin();
          expect(ids.has(toHex(begun.id))).toBe(false);
          ids.add(toHex(begun.id));
          open.push(begun);
          for (const attempt of open) proposer.note(attempt.id, own.answeredBelow(attempt));
          for (const { id } of [...open, ...kept]) expect(proposer.has(id)).toBe(false);
        }
      }),
    );
  });
});

describe('what a proposer was told', () => {
  it('holds for one name, and only grows', () => {
    const [mine, theirs] = [attempts(), new Attempts({ uint32: () => 0, bytes: (n) => new Uint8Array(n).fill(99) })];
    const [first, second, other] = [mine.begin(), mine.begin(), theirs.begin()];
    const proposer = new AnsweredAttempts();
    expect(proposer.has(first.id)).toBe(false);
    proposer.note(second.id, 2);
    proposer.note(second.id, 1);
    expect([first, second, other].map(({ id }) => proposer.has(id))).toEqual([true, false, false]);
  });

  it('is forgotten of the oldest when there are too many', () => {
    const proposer = new AnsweredAttempts();
    const named = (i: number): Attempts =>
      new Attempts({ uint32: () => 0, bytes: () => Uint8Array.of(i, i >>> 8, 0, 0, 0, 0, 0, 0) });
    const first = named(0).begin();
    for (let i = 0; i < 4097; i++) proposer.note(named(i).begin().id, 2);
    expect([proposer.has(first.id), proposer.has(named(1).begin().id)]).toEqual([false, true]);
  });
});
