import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeIndex } from '#kernel/identity.ts';
import { NO_VOTE, accept, prepare, valueToAdopt } from '#consensus/acceptor.ts';
import type { Vote } from '#consensus/acceptor.ts';
import { BallotSource, compareBallots } from '#consensus/ballot.ts';
import type { Ballot } from '#consensus/facts.ts';
import type { Clock } from '#world/world.ts';

const ballots = fc
  .record({ time: fc.nat(5), node: fc.nat(2), boot: fc.nat(2) })
  .map(({ time, node, boot }): Ballot => ({ time, node: nodeIndex(node), boot }));

describe('ballots', () => {
  it('are ordered by time, then node, then boot', () => {
    const sorted = [
      { time: 1, node: nodeIndex(2), boot: 9 },
      { time: 2, node: nodeIndex(0), boot: 5 },
      { time: 2, node: nodeIndex(1), boot: 1 },
      { time: 2, node: nodeIndex(1), boot: 2 },
    ];
    expect(sorted.toReversed().toSorted(compareBallots)).toEqual(sorted);
  });

  it('of one node rise, whatever its clock does and whatever it hears', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ wall: fc.nat(1000), heard: ballots })), (steps) => {
        let wall = 0;
        const source = new BallotSource({ wall: () => wall } as Clock, 1);
        let last = source.next(nodeIndex(0));
        for (const step of steps) {
          wall = step.wall;
          source.observe(step.heard);
          const next = source.next(nodeIndex(0));
          expect(compareBallots(next, last)).toBeGreaterThan(0);
          expect(compareBallots(next, step.heard)).toBeGreaterThan(0);
          last = next;
        }
      }),
    );
  });

  it('do not follow one that would use up the numbers', () => {
    const source = new BallotSource({ wall: () => 1000 } as Clock, 1);
    source.observe({ time: Number.MAX_SAFE_INTEGER, node: nodeIndex(1), boot: 1 });
    expect(source.next(nodeIndex(0)).time).toBe(1000);
  });
});

describe('the acceptor', () => {
  const low: Ballot = { time: 1, node: nodeIndex(0), boot: 1 };
  const high: Ballot = { time: 2, node: nodeIndex(0), boot: 1 };

  it('promises each ballot once', () => {
    const first = prepare<string>(NO_VOTE, low);
    expect(first).toEqual({ kind: 'promised', vote: { promised: low, accepted: null } });
    expect(prepare((first as { vote: Vote<string> }).vote, low)).toEqual({ kind: 'rejected', highest: low });
  });

  it('accepts the same proposal again and nothing below its promise', () => {
    const vote: Vote<string> = { promised: high, accepted: null };
    const accepted = accept(vote, high, 'a');
    expect(accepted).toEqual({ kind: 'accepted', vote: { promised: high, accepted: { ballot: high, value: 'a' } } });
    expect(accept((accepted as { vote: Vote<string> }).vote, high, 'a')).toEqual(accepted);
    expect(accept(vote, low, 'b')).toEqual({ kind: 'rejected', highest: high });
  });

  it('keeps its word over any sequence of requests', () => {
    const requests = fc.array(fc.record({ phase: fc.constantFrom('prepare', 'accept'), ballot: ballots }));
    fc.assert(
      fc.property(requests, (sequence) => {
        let vote: Vote<string> = NO_VOTE;
        for (const { phase, ballot } of sequence) {
          const step = phase === 'prepare' ? prepare(vote, ballot) : accept(vote, ballot, JSON.stringify(ballot));
          const before = vote.promised;
          if (step.kind === 'rejected') {
            expect(step.highest).toEqual(before);
            expect(compareBallots(ballot, step.highest)).toBeLessThanOrEqual(0);
            continue;
          }
          vote = step.vote;
          expect(vote.promised).toEqual(ballot);
          if (before !== null)
            expect(compareBallots(ballot, before)).toBeGreaterThanOrEqual(phase === 'prepare' ? 1 : 0);
          if (vote.accepted !== null) expect(compareBallots(vote.accepted.ballot, ballot)).toBeLessThanOrEqual(0);
        }
      }),
    );
  });

  it('makes a proposer adopt what was accepted under the highest ballot', () => {
    expect(valueToAdopt([null, null])).toBeUndefined();
    expect(valueToAdopt([{ ballot: high, value: 'b' }, null, { ballot: low, value: 'a' }])).toBe('b');
    expect(
      valueToAdopt([
        { ballot: low, value: 'a' },
        { ballot: high, value: 'b' },
      ]),
    ).toBe('b');
  });
});
