/** The checks of what clients were shown and told. */

import { describe, expect, it } from 'vitest';
import { Planted } from './plant.ts';

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
