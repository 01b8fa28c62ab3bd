/** The checks of what clients were shown and told. */

import { describe, expect, it } from 'vitest';
import { checkHistory } from '../../simulation/checkers/check-history.ts';
import { Planted } from './plant.ts';

describe('strict-reads', () => {
  const check = 'strict-reads';

  it('accepts reads that show all that was acknowledged, or what replaced it', () => {
    const planted = new Planted()
      .read([])
      .put('a')
      .read(['a'])
      .put('b')
      .read(['b', 'a'])
      .put('c', { covers: ['a', 'b'] })
      .read(['c'])
      .delete('x', { covers: ['c'] })
      .read([]);
    expect(planted.found(check)).toEqual([]);
  });

  it('sees a stale read', () => {
    expect(new Planted().put('a').read([]).found(check)).toEqual(['a']);
    const planted = new Planted()
      .put('a')
      .put('b', { covers: ['a'] })
      .read(['a']);
    expect(planted.violations(check)).toMatchObject([
      { writes: ['a', 'b'], detail: expect.stringContaining('replaced a') },
      { writes: ['b'], detail: expect.stringContaining('neither b') },
    ]);
  });

  it('sees one of several siblings missing', () => {
    expect(new Planted().put('a').put('b').read(['b']).found(check)).toEqual(['a']);
  });

  it('lets a read run beside a write', () => {
    const planted = new Planted().put('a', { at: [1, 4] });
    expect(
      planted
        .read([], { at: [2, 6] })
        .read(['a'], { at: [3, 5] })
        .read([], { at: [4, 7] })
        .found(check),
    ).toEqual([]);
  });

  it('lets a write of unknown outcome surface late, and replace what it covers', () => {
    const planted = new Planted()
      .put('a')
      .put('b', { covers: ['a'], outcome: 'unknown' })
      .read(['a'])
      .read(['b'])
      .put('c', { covers: ['b'], outcome: 'unknown', at: [20, null] })
      .read(['b'], { at: [21, 22] })
      .read(['c'], { at: [23, 24] });
    expect(planted.found(check)).toEqual([]);
  });

  it('lets an unknown delete explain an empty answer, but not before it began', () => {
    const planted = new Planted()
      .put('a', { at: [1, 2] })
      .delete('x', { covers: ['a'], outcome: 'unknown', at: [5, 6] });
    expect(planted.read([], { at: [7, 8] }).found(check)).toEqual([]);
    expect(planted.read([], { at: [3, 4] }).found(check)).toEqual(['a']);
  });

  it('follows replacements through several writes', () => {
    const chain = () =>
      new Planted()
        .put('a')
        .put('b', { covers: ['a'], outcome: 'unknown' })
        .put('c', { covers: ['b'], outcome: 'unknown' });
    expect(chain().read(['c']).found(check)).toEqual([]);
    expect(
      chain()
        .delete('x', { covers: ['c'], outcome: 'unknown' })
        .read([])
        .found(check),
    ).toEqual([]);
    expect(chain().read([]).found(check)).toEqual(['a']);
    expect(
      chain()
        .delete('x', { covers: ['c'], outcome: 'not-applied' })
        .read([])
        .found(check),
    ).toEqual(['a']);
  });

  it('lets a delete without a context explain the absence of what it can have found', () => {
    const found = new Planted().put('a').delete('x', { outcome: 'unknown' }).read([]);
    expect(found.found(check)).toEqual([]);
    const later = new Planted().delete('x').put('a').read([]);
    expect(later.found(check)).toEqual(['a']);
  });

  it('knows what a strict delete without a context must have found', () => {
    expect(new Planted().put('a').delete('x').read(['a']).found(check)).toEqual(['a x']);
    expect(new Planted().put('a').delete('x', { r: 1 }).read(['a']).found(check)).toEqual([]);
  });

  it.each([
    ['w=1 r=2 of 3', { w: 1 }, {}, false],
    ['w=1 r=3 of 3', { w: 1 }, { r: 3 }, true],
    ['w=3 r=1 of 3', { w: 3 }, { r: 1 }, true],
    ['a sloppy write', { sloppy: true }, {}, false],
    ['a sloppy write with pw=2', { sloppy: true, pw: 2 }, {}, true],
    ['a sloppy read', {}, { sloppy: true }, false],
    ['a sloppy read with pr=2', {}, { sloppy: true, pr: 2 }, true],
  ] as const)('with %s', (_, write, read, isStrict) => {
    expect(new Planted().put('a', write).read([], read).found(check)).toEqual(isStrict ? ['a'] : []);
  });

  it('counts only durable owners where crashes lose the rest', () => {
    expect(new Planted().losesUnsynced().put('a', { dw: 1 }).read([]).found(check)).toEqual([]);
    expect(new Planted().losesUnsynced().put('a', { dw: 2 }).read([]).found(check)).toEqual(['a']);
    expect(new Planted().losesUnsynced().put('a', { pw: 2, sloppy: true }).read([]).found(check)).toEqual([]);
  });

  it('excuses what the faults may have destroyed', () => {
    expect(new Planted().put('a').mayBeLost('a').read([]).found(check)).toEqual([]);
  });

  it('holds every read against everything once all has converged', () => {
    const weak = { r: 1, sloppy: true };
    const before = new Planted().put('a', { w: 1 }).read([], weak);
    expect(before.found(check)).toEqual([]);
    expect(before.converged().read([], weak).found(check)).toEqual(['a']);
    const after = new Planted().converged().put('a', { w: 1 }).read([], weak);
    expect(after.found(check)).toEqual([]);
  });

  it('looks at each key by itself', () => {
    expect(new Planted().put('a').read([], { key: 'other' }).found(check)).toEqual([]);
  });

  describe('in a last-write-wins bucket', () => {
    it('accepts a later value and sees an earlier one', () => {
      const planted = () =>
        new Planted('lww')
          .put('a', { dots: ['1.10'] })
          .put('b', { dots: ['2.9'] })
          .put('c', { dots: ['3.12'], outcome: 'unknown' });
      expect(planted().read(['a']).found(check)).toEqual([]);
      expect(planted().read(['c']).found(check)).toEqual([]);
      expect(planted().read(['b']).found(check)).toEqual(['a']);
    });

    it('sees a value shown that its successor has beaten, even without dots', () => {
      expect(
        new Planted('lww')
          .put('a')
          .put('b', { covers: ['a'] })
          .read(['a'])
          .found(check),
      ).toEqual(['a b']);
      expect(new Planted('lww').put('a').put('b').read(['a']).found(check)).toEqual([]);
    });

    it('accepts nothing shown only after a later delete', () => {
      const planted = () => new Planted('lww').put('a', { dots: ['1.10'] });
      expect(planted().read([]).found(check)).toEqual(['a']);
      expect(
        planted()
          .delete('x', { dots: ['1.11'] })
          .read([])
          .found(check),
      ).toEqual([]);
      expect(
        planted()
          .read([], { at: [11, 12] })
          .delete('x', { dots: ['1.11'], at: [13, 14] })
          .found(check),
      ).toEqual(['a']);
      expect(
        planted()
          .delete('x', { dots: ['1.11'], outcome: 'not-applied' })
          .read([])
          .found(check),
      ).toEqual(['a']);
      expect(
        planted()
          .delete('x', { dots: ['2.9'] })
          .read([])
          .found(check),
      ).toEqual(['a']);
      expect(
        planted()
          .delete('x', { dots: ['1.11'] })
          .read(['a'])
          .found(check),
      ).toEqual(['x']);
    });
  });
});

describe('no-resurrection', () => {
  const check = 'no-resurrection';

  it('sees a deleted value read again', () => {
    const planted = new Planted()
      .put('a')
      .delete('x', { covers: ['a'] })
      .read([])
      .read(['a']);
    expect(planted.found(check)).toEqual(['a x']);
  });

  it('sees what the deleted value had replaced come back', () => {
    const planted = new Planted()
      .put('a')
      .put('b', { covers: ['a'] })
      .delete('x', { covers: ['b'] });
    expect(planted.read(['a']).found(check)).toEqual(['a x']);
  });

  it('accepts a stale answer to a weak read, and of a read beside the delete', () => {
    const planted = new Planted()
      .put('a', { at: [1, 2] })
      .delete('x', { covers: ['a'], at: [3, 6] })
      .read(['a'], { at: [4, 7] })
      .read(['a'], { at: [8, 9], r: 1 });
    expect(planted.found(check)).toEqual([]);
  });

  it('accepts no stale answer once all has converged', () => {
    const planted = new Planted()
      .put('a')
      .delete('x', { covers: ['a'], w: 1 })
      .converged()
      .read(['a'], { r: 1 });
    expect(planted.found(check)).toEqual(['a x']);
  });

  it('accepts a value that the delete had not seen, and one written after it', () => {
    const planted = new Planted()
      .put('a')
      .put('b')
      .delete('x', { covers: ['a'] })
      .put('c', { covers: [] });
    expect(planted.read(['b', 'c']).found(check)).toEqual([]);
  });

  it('accepts that an unknown delete had no effect', () => {
    expect(
      new Planted()
        .put('a')
        .delete('x', { covers: ['a'], outcome: 'unknown' })
        .read(['a'])
        .found(check),
    ).toEqual([]);
  });

  it('sees a dead value live at the end, or at a replica that knows the delete', () => {
    const planted = () => new Planted().put('a', { dots: ['1.10'] }).delete('x', { covers: ['a'], dots: ['2.11'] });
    expect(
      planted()
        .final('n1', { vector: ['1.10'], live: { '1.10': 'a' } })
        .found(check),
    ).toEqual(['a x']);
    expect(
      planted()
        .sample('n1', { vector: ['1.10'], live: { '1.10': 'a' } })
        .found(check),
    ).toEqual([]);
    expect(
      planted()
        .sample('n1', { vector: ['1.10', '2.11'], live: { '1.10': 'a' } })
        .found(check),
    ).toEqual(['a x']);
    expect(
      planted()
        .final('n1', { vector: ['1.10', '2.11'] })
        .found(check),
    ).toEqual([]);
  });

  it('is not about values replaced by other values', () => {
    expect(
      new Planted()
        .put('a')
        .put('b', { covers: ['a'] })
        .read(['a'])
        .found(check),
    ).toEqual([]);
  });

  it('knows that a last-write-wins delete kills all that is earlier', () => {
    const planted = () =>
      new Planted('lww')
        .put('a', { dots: ['1.10'] })
        .put('b', { dots: ['2.13'] })
        .delete('x', { dots: ['3.12'] });
    expect(
      planted()
        .final('n1', { vector: ['2.13', '3.12'], live: { '2.13': 'b' } })
        .read(['b'])
        .found(check),
    ).toEqual([]);
    expect(
      planted()
        .final('n1', { vector: ['1.10', '3.12'], live: { '1.10': 'a' } })
        .found(check),
    ).toEqual(['a x']);
    expect(planted().read(['a']).found(check)).toEqual(['a x']);
  });
});

describe('not-applied-invisible', () => {
  const check = 'not-applied-invisible';
  const refused = () => new Planted().put('a').put('b', { outcome: 'not-applied', dots: ['2.11'] });

  it('accepts that it is nowhere', () => {
    expect(
      refused()
        .read(['a'])
        .sample('n1', { vector: ['1.10'], live: { '1.10': 'a' } })
        .found(check),
    ).toEqual([]);
  });

  it('sees it read, held, or known, also before the answer', () => {
    expect(refused().read(['a', 'b']).found(check)).toEqual(['b']);
    expect(
      refused()
        .read(['b'], { at: [1, 2], r: 1 })
        .found(check),
    ).toEqual(['b']);
    expect(
      refused()
        .sample('n1', { vector: ['2.11'], live: { '2.11': 'b' } })
        .found(check),
    ).toEqual(['b']);
    expect(
      refused()
        .finalEverywhere({ vector: ['2.12'] })
        .found(check),
    ).toEqual(['b', 'b', 'b']);
  });

  it('sees it held by a replica that does not cover it', () => {
    expect(
      refused()
        .sample('n1', { vector: [], live: { '9.9': 'b' } })
        .found(check),
    ).toEqual(['b']);
  });

  it('does not take a retry that was refused for the whole write', () => {
    const planted = new Planted()
      .put('a', { outcome: 'unknown', retryOf: 'i' })
      .put('a', { outcome: 'not-applied', retryOf: 'i' })
      .read(['a']);
    expect(planted.found(check)).toEqual([]);
  });
});

describe('only-written-values', () => {
  const check = 'only-written-values';

  it('accepts what was written there', () => {
    expect(new Planted().put('a', { outcome: 'unknown' }).read(['a']).found(check)).toEqual([]);
  });

  it('sees values out of nowhere, of other keys, of deletes, and from the future', () => {
    expect(new Planted().read(['a']).found(check)).toEqual(['a']);
    expect(new Planted().put('a', { key: 'other' }).read(['a']).found(check)).toEqual(['a']);
    expect(new Planted().delete('x').read(['x']).found(check)).toEqual(['x']);
    expect(
      new Planted()
        .put('a', { at: [5, 6] })
        .read(['a'], { at: [1, 2] })
        .found(check),
    ).toEqual(['a']);
    expect(new Planted().sample('n1', { vector: ['1.1'], live: { '1.1': 'a' } }).found(check)).toEqual(['a']);
  });
});

describe('no-lost-update', () => {
  const check = 'no-lost-update';

  /** Two clients add at once, a third one joins what it sees. */
  const set = () =>
    new Planted()
      .put('a', { elements: ['a'], dots: ['1.10'] })
      .put('b', { elements: ['b'], dots: ['2.11'] })
      .put('c', { covers: ['a'], elements: ['a', 'c'], dots: ['1.12'] });

  it('accepts the union of all siblings', () => {
    expect(
      set()
        .finalEverywhere({ vector: [], live: { '1.12': 'c', '2.11': 'b' } })
        .read(['c', 'b'])
        .found(check),
    ).toEqual([]);
  });

  it('sees an added element missing', () => {
    expect(
      set()
        .final('n1', { vector: [], live: { '1.12': 'c' } })
        .found(check),
    ).toEqual(['b c']);
  });

  it('sees an element from a write that was not applied, and from the future', () => {
    const refused = set()
      .put('d', { covers: [], elements: ['d'], outcome: 'not-applied' })
      .put('e', { covers: ['d'], elements: ['d', 'e'] });
    expect(refused.read(['e']).found(check)).toEqual(['d e']);
    const future = new Planted()
      .put('a', { elements: ['a', 'z'], at: [1, 2] })
      .read(['a'], { at: [3, 4] })
      .put('z', { elements: ['z'], at: [5, 6] });
    expect(future.found(check)).toEqual(['z a']);
  });

  it('accepts an element of unknown outcome, there or not', () => {
    const planted = () => new Planted().put('a', { elements: ['a'], outcome: 'unknown' });
    expect(
      planted()
        .final('n1', { vector: [], live: { '1.10': 'a' } })
        .found(check),
    ).toEqual([]);
    expect(planted().final('n1', { vector: [] }).found(check)).toEqual([]);
  });

  it('refuses clients that do not play by the rules', () => {
    const planted = new Planted().put('a', { elements: ['a'] }).put('b', { covers: ['a'], elements: ['b'] });
    expect(() => planted.found(check)).toThrow('the client of b dropped the element a that it was shown');
  });
});

describe('ends-by-deadline', () => {
  const check = 'ends-by-deadline';
  const write = { at: [100, 400], deadline: 300 } as const;

  it('accepts answers in time, give or take the slack', () => {
    expect(new Planted().put('a', { ...write, deadline: 350 }).found(check)).toEqual([]);
    expect(new Planted().put('a', { ...write, deadline: 349 }).found(check)).toEqual(['a']);
  });

  it('sees requests never answered', () => {
    expect(new Planted().read(null, { ...write, deadline: 390, ending: 'gave-up' }).violations(check)).toHaveLength(1);
    const open = new Planted().put('a', { at: [100, null], deadline: 300, outcome: 'unknown' });
    expect(open.found(check)).toEqual([]);
    expect(open.read([], { at: [349, 350] }).found(check)).toEqual(['a']);
  });

  it('excuses the node that stood still, and no other', () => {
    expect(new Planted().put('a', write).stall('n1', 200, 250).found(check)).toEqual([]);
    expect(new Planted().put('a', write).stall('n2', 200, 250).found(check)).toEqual(['a']);
    expect(new Planted().put('a', write).stall('n1', 10, 90).found(check)).toEqual(['a']);
    expect(new Planted().put('a', write).stall('n1', 351, 390).found(check)).toEqual(['a']);
  });

  it('accepts no answer outside of the contract, whatever stood still', () => {
    const planted = new Planted().stall('n1', 0, 1000).put('a', { ending: 'unexpected', answer: '500' });
    expect(planted.violations(check)).toMatchObject([
      { detail: expect.stringContaining('ended with 500'), writes: ['a'] },
    ]);
  });

  it('accepts a connection that broke in time', () => {
    expect(new Planted().put('a', { ending: 'connection-lost', outcome: 'unknown' }).found(check)).toEqual([]);
  });
});

describe('bounded-resources', () => {
  const check = 'bounded-resources';

  it('accepts what is within its bound, to the last one', () => {
    expect(new Planted().gauge('n1', 'queue', 0, 8).gauge('n1', 'queue', 8, 8).violations(check)).toEqual([]);
  });

  it('tells each broken bound once a node', () => {
    const planted = new Planted()
      .gauge('n1', 'queue', 9, 8)
      .gauge('n1', 'queue', 10, 8)
      .gauge('n2', 'queue', 9, 8)
      .gauge('n1', 'cache', Number.NaN, 8)
      .gauge('n3', 'cache', -1, 8);
    expect(planted.violations(check).map(({ key, detail }) => `${key}: ${detail}`)).toEqual([
      'n1: queue was 9 at time 0, its bound is 8',
      'n2: queue was 9 at time 0, its bound is 8',
      'n1: cache was NaN at time 0, its bound is 8',
      'n3: cache was -1 at time 0, its bound is 8',
    ]);
  });
});

describe('idempotent-retries', () => {
  const check = 'idempotent-retries';

  const retried = () =>
    new Planted().put('a', { retryOf: 'i', outcome: 'unknown', dots: ['1.10', '2.12'] }).put('a', { retryOf: 'i' });

  it('accepts one version of a retried request', () => {
    const planted = retried()
      .read(['a'])
      .sample('n1', { vector: ['1.10'], live: { '1.10': 'a' } })
      .sample('n2', { vector: ['2.12'], live: { '2.12': 'a' } })
      .finalEverywhere({ vector: ['1.10', '2.12'], live: { '1.10': 'a' } });
    expect(planted.found(check)).toEqual([]);
  });

  it('sees two versions in a read, at a replica, or among the owners', () => {
    expect(retried().read(['a', 'a']).found(check)).toEqual(['a']);
    expect(
      retried()
        .sample('n1', { vector: [], live: { '1.10': 'a', '2.12': 'a' } })
        .found(check),
    ).toEqual(['a']);
    const owners = retried()
      .final('n1', { vector: [], live: { '1.10': 'a' } })
      .final('n2', { vector: [], live: { '2.12': 'a' } });
    expect(owners.found(check)).toEqual(['a']);
  });

  it('sees one version held twice', () => {
    const planted = retried();
    const whiteBox = planted.sample('n1', { vector: ['1.10'], live: { '1.10': 'a' } }).whiteBox();
    const twice = whiteBox.samples.map((sample) => ({ ...sample, versions: [...sample.versions, ...sample.versions] }));
    const judgement = checkHistory(planted.history(), { ...whiteBox, samples: twice }, { checks: [check] });
    expect(judgement.violations).toMatchObject([{ writes: ['a'] }]);
  });

  it('sees two values of one idempotency key', () => {
    const planted = new Planted().put('a', { retryOf: 'i' }).put('b', { retryOf: 'i', outcome: 'unknown' });
    expect(planted.read(['a']).read(['b']).found(check)).toEqual(['a b']);
  });

  it('sees a condition that is judged again when the request was acknowledged', () => {
    const condition = { kind: 'absent' } as const;
    const failed = { retryOf: 'i', condition, preconditionFailed: true, outcome: 'not-applied' } as const;
    const keyed = { retryOf: 'i', condition } as const;
    expect(new Planted().put('a', keyed).put('a', failed).found(check)).toEqual(['a']);
    // What was not acknowledged, or by too few, need not be found.
    expect(
      new Planted()
        .put('a', { ...keyed, outcome: 'unknown' })
        .put('a', failed)
        .found(check),
    ).toEqual([]);
    const few = { w: 1, pw: 0, sloppy: true };
    expect(
      new Planted()
        .put('a', { ...keyed, ...few })
        .put('a', { ...failed, ...few })
        .found(check),
    ).toEqual([]);
  });

  it('has nothing to say of other writes, nor of the same idempotency key elsewhere', () => {
    const planted = new Planted()
      .put('a', { retryOf: 'i' })
      .put('b', { retryOf: 'j' })
      .put('c')
      .put('d', { key: 'other', retryOf: 'i' });
    expect(planted.read(['a', 'b', 'c']).read(['d'], { key: 'other' }).found(check)).toEqual([]);
  });
});

describe('session-guarantees', () => {
  const check = 'session-guarantees';
  const s = { session: 's', r: 1, w: 1 };

  it('sees a session lose its own write', () => {
    expect(new Planted().put('a', s).read([], s).found(check)).toEqual(['a']);
    expect(
      new Planted()
        .put('a', s)
        .put('b', { ...s, covers: ['a'] })
        .read(['a'], s)
        .found(check),
    ).toEqual(['a b', 'b']);
  });

  it('sees a write of the session lose against what the session had seen', () => {
    const ordered = (later: string) =>
      new Planted('lww')
        .put('a', { ...s, dots: ['1.10'] })
        .put('b', { ...s, dots: [later] })
        .found(check);
    expect(ordered('2.9')).toEqual(['b a']);
    expect(ordered('2.11')).toEqual([]);
    // Another session has not seen it.
    const other = new Planted('lww').put('a', { ...s, dots: ['1.10'] }).put('b', { session: 't', dots: ['2.9'] });
    expect(other.found(check)).toEqual([]);
  });

  it('sees a session go back in time', () => {
    const planted = new Planted().put('a').put('b', { covers: ['a'] });
    expect(planted.read(['b'], s).read(['a'], s).found(check)).toEqual(['a b', 'b']);
    expect(new Planted().put('a').read(['a'], s).read([], s).found(check)).toEqual(['a']);
  });

  it('lets what it knows be replaced', () => {
    const planted = new Planted()
      .put('a', s)
      .put('b', { covers: ['a'], outcome: 'unknown' })
      .read(['a'], s)
      .read(['b'], s)
      .delete('x', { covers: ['b'], outcome: 'unknown' })
      .read([], s);
    expect(planted.found(check)).toEqual([]);
  });

  it('promises nothing to other sessions, without a session, on other keys, or to requests under way at once', () => {
    expect(new Planted().put('a', s).read([], { session: 't', r: 1 }).found(check)).toEqual([]);
    expect(new Planted().put('a').read(['a'], { r: 1 }).read([], { r: 1 }).found(check)).toEqual([]);
    expect(
      new Planted()
        .put('a', s)
        .read([], { ...s, key: 'other' })
        .found(check),
    ).toEqual([]);
    expect(
      new Planted()
        .put('a', { ...s, at: [1, 4] })
        .read([], { ...s, at: [2, 5] })
        .found(check),
    ).toEqual([]);
    expect(new Planted().put('a').read(['a'], { session: 't' }).read([], s).found(check)).toEqual([]);
  });

  it('does not want unknown writes to be visible, unless they were seen', () => {
    const planted = new Planted().put('a', { ...s, outcome: 'unknown' }).read([], s);
    expect(planted.found(check)).toEqual([]);
    expect(planted.read(['a'], s).read([], s).found(check)).toEqual(['a']);
  });
});
