/** The checks that look into replicas: siblings, last write wins, durable coverage, convergence. */

import { describe, expect, it } from 'vitest';
import { Planted } from './plant.ts';

describe('concurrent-siblings', () => {
  const check = 'concurrent-siblings';

  /** `a` and `b` are concurrent; `c` replaces `a`. */
  function three(): Planted {
    return new Planted()
      .put('a', { dots: ['1.10'] })
      .put('b', { dots: ['2.11'] })
      .put('c', { covers: ['a'], dots: ['1.12'] });
  }

  it('accepts exactly the concurrent ones', () => {
    expect(
      three()
        .finalEverywhere({ vector: ['1.12', '2.11'], live: { '2.11': 'b', '1.12': 'c' } })
        .found(check),
    ).toEqual([]);
  });

  it('accepts each replica by what it knows', () => {
    const planted = three()
      .sample('n1', { vector: [] })
      .sample('n1', { vector: ['1.10'], live: { '1.10': 'a' } })
      .sample('n2', { vector: ['1.10', '2.11'], live: { '1.10': 'a', '2.11': 'b' } })
      .sample('n3', { vector: ['1.12'], live: { '1.12': 'c' } });
    expect(planted.found(check)).toEqual([]);
  });

  it('sees a concurrent sibling that a merge dropped', () => {
    expect(
      three()
        .sample('n1', { vector: ['1.12', '2.11'], live: { '1.12': 'c' } })
        .found(check),
    ).toEqual(['b']);
  });

  it('sees a superseded version beside its successor', () => {
    const planted = three().sample('n1', { vector: ['1.12'], live: { '1.12': 'c', '1.10': 'a' } });
    expect(planted.found(check)).toEqual(['a c']);
  });

  it('sees a version beside the successor of its successor', () => {
    const planted = three()
      .put('d', { covers: ['c'], dots: ['3.13'] })
      .sample('n1', { vector: ['1.12', '3.13'], live: { '3.13': 'd', '1.10': 'a' } });
    expect(planted.found(check)).toEqual(['a c d']);
  });

  it('sees a write of unknown outcome dropped by a replica that had come to know it', () => {
    const planted = new Planted()
      .put('a', { dots: ['1.10'] })
      .put('b', { dots: ['2.11'], outcome: 'unknown' })
      .sample('n1', { vector: ['1.10', '2.11'], live: { '1.10': 'a' } });
    expect(planted.found(check)).toEqual(['b']);
  });

  it('accepts a write of unknown outcome that surfaced, or never did, or superseded what it covers', () => {
    const planted = new Planted()
      .put('a', { dots: ['1.10'] })
      .put('b', { covers: ['a'], dots: ['2.11'], outcome: 'unknown' });
    planted.sample('n1', { vector: ['1.10'], live: { '1.10': 'a' } });
    planted.sample('n2', { vector: ['1.10', '2.11'], live: { '2.11': 'b' } });
    expect(planted.found(check)).toEqual([]);
  });

  it('accepts that a concurrent write survives a delete that had not seen it, and wants it to', () => {
    const planted = new Planted()
      .put('a', { dots: ['1.10'] })
      .put('b', { dots: ['2.11'] })
      .delete('x', { covers: ['a'], dots: ['3.12'] });
    planted.sample('n1', { vector: ['1.10', '2.11', '3.12'], live: { '2.11': 'b' } });
    expect(planted.found(check)).toEqual([]);
    planted.sample('n2', { vector: ['1.10', '2.11', '3.12'] });
    expect(planted.found(check)).toEqual(['b']);
  });

  it('accepts a write whose context is that of a deleted key, at a replica that had not heard of the delete', () => {
    // The context covers `a` too, though nothing was shown with it: what removed `a` is known through it.
    const planted = new Planted()
      .put('a', { dots: ['1.10'] })
      .delete('x', { covers: ['a'], dots: ['3.12'] })
      .read([])
      .put('b', { covers: [], dots: ['2.13'] })
      .sample('n1', { vector: ['1.10', '2.13', '3.12'], live: { '2.13': 'b' } });
    expect(planted.found(check)).toEqual([]);
  });

  it('accepts a version gone through a delete whose dot nobody recorded', () => {
    const planted = new Planted()
      .put('a', { dots: ['1.10'] })
      .delete('x', { covers: ['a'] })
      .sample('n1', { vector: ['1.10', '3.12'] });
    expect(planted.found(check)).toEqual([]);
  });

  it('does not let a delete excuse anything before it began, nor when it was not applied', () => {
    const early = new Planted()
      .put('a', { dots: ['1.10'] })
      .sample('n1', { vector: ['1.10'] })
      .delete('x', { covers: ['a'] });
    expect(early.found(check)).toEqual(['a']);
    const refused = new Planted()
      .put('a', { dots: ['1.10'] })
      .delete('x', { covers: ['a'], outcome: 'not-applied' })
      .sample('n1', { vector: ['1.10'] });
    expect(refused.found(check)).toEqual(['a']);
  });

  it('lets a delete without a context remove what began before it was over, and nothing later', () => {
    const planted = new Planted()
      .put('a', { dots: ['1.10'], at: [1, 2] })
      .put('b', { dots: ['1.11'], at: [5, 6] })
      .delete('x', { dots: ['3.12'], at: [3, 4] })
      .sample('n1', { vector: ['1.11', '3.12'] });
    expect(planted.found(check)).toEqual(['b']);
  });

  it('does not let a delete without a context excuse anything where it is not known', () => {
    const planted = new Planted()
      .put('a', { dots: ['1.10'] })
      .delete('x', { dots: ['3.12'] })
      .sample('n1', { vector: ['1.10'] });
    expect(planted.found(check)).toEqual(['a']);
  });

  it('tells the tenures of a node apart', () => {
    const planted = new Planted()
      .put('a', { dots: ['1:1.10'] })
      .put('b', { dots: ['1:2.20'] })
      .sample('n1', { vector: ['1:2.20'], live: { '1:2.20': 'b' } });
    expect(planted.found(check)).toEqual([]);
    planted.sample('n2', { vector: ['1:1.10', '1:2.20'], live: { '1:2.20': 'b' } });
    expect(planted.found(check)).toEqual(['a']);
  });

  it('wants a strict delete without a context to remove what it must have found', () => {
    const planted = new Planted()
      .put('a', { dots: ['1.10'] })
      .delete('x', { dots: ['3.12'] })
      .sample('n1', { vector: ['1.10', '3.12'], live: { '1.10': 'a' } });
    expect(planted.found(check)).toEqual(['a x']);
    const weak = new Planted()
      .put('a', { dots: ['1.10'] })
      .delete('x', { dots: ['3.12'], r: 1 })
      .sample('n1', { vector: ['1.10', '3.12'], live: { '1.10': 'a' } });
    expect(weak.found(check)).toEqual([]);
  });

  it('sees a read that shows a value beside one from its future', () => {
    expect(three().read(['b', 'c']).read(['a', 'b']).found(check)).toEqual([]);
    expect(three().read(['a', 'c']).found(check)).toEqual(['a c']);
    expect(
      three()
        .put('d', { covers: ['c'] })
        .read(['a', 'd'])
        .found(check),
    ).toEqual(['a d']);
  });

  it('does not hold the replacement of one attempt of a request against another attempt that nobody had confirmed', () => {
    const tried = (outcome: 'applied' | 'unknown', dots: readonly string[]): Planted =>
      new Planted()
        .put('a', { outcome, retryOf: 'i', dots })
        .put('a', { retryOf: 'i' })
        .put('b', { covers: ['a'], dots: ['3.12'] });
    const both = ['1.10', '2.11'];
    for (const which of [check, 'strict-reads'] as const) {
      expect(tried('unknown', both).read(['a', 'b']).found(which)).toEqual([]);
      expect(tried('unknown', ['1.10']).read(['a', 'b']).found(which)).toEqual(['a b']);
      expect(tried('applied', both).read(['a', 'b']).found(which)).toEqual(['a b']);
      expect(tried('unknown', both).read(['b']).found(which)).toEqual([]);
    }
  });
});

describe('last-write-wins', () => {
  const check = 'last-write-wins';

  function two(): Planted {
    return new Planted('lww').put('a', { dots: ['1.10'] }).put('b', { dots: ['2.11'] });
  }

  it('accepts the latest of what is known', () => {
    const planted = two()
      .sample('n1', { vector: [] })
      .sample('n1', { vector: ['1.10'], live: { '1.10': 'a' } })
      .sample('n2', { vector: ['2.11'], live: { '2.11': 'b' } })
      .finalEverywhere({ vector: ['1.10', '2.11'], live: { '2.11': 'b' } });
    expect(planted.found(check)).toEqual([]);
  });

  it('sees an earlier write win', () => {
    expect(
      two()
        .sample('n1', { vector: ['1.10', '2.11'], live: { '1.10': 'a' } })
        .found(check),
    ).toEqual(['b a']);
  });

  it('breaks ties by node', () => {
    const tie = (winner: Record<string, string>) =>
      new Planted('lww')
        .put('a', { dots: ['1.10'] })
        .put('b', { dots: ['2.10'] })
        .sample('n1', { vector: ['1.10', '2.10'], live: winner })
        .found(check);
    expect(tie({ '2.10': 'b' })).toEqual([]);
    expect(tie({ '1.10': 'a' })).toEqual(['b a']);
  });

  it('sees the key vanish', () => {
    expect(
      two()
        .sample('n1', { vector: ['1.10', '2.11'] })
        .found(check),
    ).toEqual(['a', 'b']);
  });

  it('sees two live versions, held or read', () => {
    expect(
      two()
        .sample('n1', { vector: ['1.10', '2.11'], live: { '1.10': 'a', '2.11': 'b' } })
        .found(check),
    ).toEqual(['a b']);
    expect(two().read(['a', 'b']).found(check)).toEqual(['a b']);
  });

  it('ranks a deletion like a write', () => {
    const planted = two().delete('x', { dots: ['3.12'] });
    planted.sample('n1', { vector: ['1.10', '2.11', '3.12'], live: { '3.12': null } });
    expect(planted.found(check)).toEqual([]);
    planted.sample('n2', { vector: ['1.10', '2.11', '3.12'], live: { '2.11': 'b' } });
    expect(planted.found(check)).toEqual(['x b']);
  });

  it('sees a write ranked below one that its client had seen', () => {
    const planted = new Planted('lww').put('a', { dots: ['1.10'] }).put('b', { covers: ['a'], dots: ['2.9'] });
    expect(planted.found(check)).toEqual(['b a']);
  });

  it('gives a write that a retry minted again the rank of its first dot', () => {
    const planted = new Planted('lww')
      .put('a', { dots: ['1.10', '2.13'], retryOf: 'i' })
      .put('b', { dots: ['3.12'] })
      .sample('n1', { vector: ['1.10', '2.13', '3.12'], live: { '3.12': 'b' } });
    expect(planted.found(check)).toEqual([]);
  });
});

describe('unique-dots', () => {
  const check = 'unique-dots';

  it('accepts several dots of one write, and one dot in two keys', () => {
    const planted = new Planted()
      .put('a', { dots: ['1.10', '2.10'], retryOf: 'i' })
      .put('b', { key: 'other', dots: ['1.10'] })
      .sample('n1', { vector: ['1.10'], live: { '1.10': 'a' } });
    expect(planted.found(check)).toEqual([]);
  });

  it('sees a dot that names two writes, minted or held', () => {
    expect(
      new Planted()
        .put('a', { dots: ['1.10'] })
        .delete('x', { dots: ['1.10'] })
        .found(check),
    ).toEqual(['a x']);
    const held = new Planted()
      .put('a')
      .put('b')
      .sample('n1', { vector: [], live: { '1.10': 'a' } })
      .sample('n2', { vector: [], live: { '1.10': 'b' } });
    expect(held.found(check)).toEqual(['a b']);
  });
});

describe('durable-coverage', () => {
  const check = 'durable-coverage';

  it('accepts writes that are live, replaced, or deleted', () => {
    const planted = new Planted()
      .put('a', { dots: ['1.10'] })
      .put('b', { covers: ['a'], dots: ['1.11'] })
      .put('c', { dots: ['2.12'] })
      .put('d', { dots: ['3.13'] })
      .delete('x', { covers: ['c'], dots: ['3.14'] })
      .finalEverywhere({ vector: ['1.11', '2.12', '3.14'], live: { '1.11': 'b', '3.13': 'd' } });
    expect(planted.found(check)).toEqual([]);
  });

  it('accepts what was replaced, deleted and given up before another actor wrote the key anew', () => {
    const writtenAnew = (last: string): Planted =>
      new Planted()
        .put('a', { dots: ['1.10'] })
        .put('b', { covers: ['a'], dots: ['1.11'] })
        .delete('x', { covers: ['b'], dots: [] })
        .put('c', { dots: [last] })
        .finalEverywhere({ vector: [last], live: { [last]: 'c' } });
    expect(writtenAnew('2.20').found(check)).toEqual([]);
    expect(new Set(writtenAnew('2.9').found(check))).toEqual(new Set(['a', 'b']));
  });

  it('sees a write that one owner does not know', () => {
    const planted = new Planted()
      .put('a', { dots: ['1.10'] })
      .final('n1', { vector: ['1.10'], live: { '1.10': 'a' } })
      .final('n2', { vector: [] })
      .final('n3', { vector: ['1.10'], live: { '1.10': 'a' } });
    expect(planted.violations(check)).toEqual([
      { check, key: 'b/k', detail: 'at n2: a was acknowledged and its dot is not covered', writes: ['a'] },
    ]);
  });

  it('sees a write that is covered and gone', () => {
    const planted = new Planted().put('a', { dots: ['1.10'] }).finalEverywhere({ vector: ['1.11'] });
    expect(planted.found(check)).toEqual(['a', 'a', 'a']);
  });

  it('sees a write lost whose dot nobody recorded', () => {
    const planted = new Planted().put('a').finalEverywhere({ vector: ['1.11'] });
    expect(planted.found(check)).toEqual(['a', 'a', 'a']);
  });

  it('does not accept as a replacement what the owner does not know, or what was not applied', () => {
    const unheard = new Planted()
      .put('a', { dots: ['1.10'] })
      .put('b', { covers: ['a'], dots: ['2.11'], outcome: 'unknown' })
      .final('n1', { vector: ['1.10'] });
    expect(unheard.found(check)).toEqual(['a']);
    const refused = new Planted()
      .put('a', { dots: ['1.10'] })
      .put('b', { covers: ['a'], outcome: 'not-applied' })
      .final('n1', { vector: ['1.10'] });
    expect(refused.found(check)).toEqual(['a']);
  });

  it('accepts the loss of unknown, refused and excused writes', () => {
    const planted = new Planted()
      .put('a', { dots: ['1.10'], outcome: 'unknown' })
      .put('b', { outcome: 'not-applied' })
      .put('c', { dots: ['2.12'] })
      .mayBeLost('c')
      .finalEverywhere({ vector: [] });
    expect(planted.found(check)).toEqual([]);
  });

  it('wants acknowledged deletes to be known', () => {
    const planted = new Planted()
      .put('a', { dots: ['1.10'] })
      .delete('x', { covers: ['a'], dots: ['2.11'] })
      .final('n1', { vector: ['1.10'], live: { '1.10': 'a' } });
    expect(planted.found(check)).toEqual(['x']);
  });

  it('accepts owners without anything after a delete, but only all of them', () => {
    const deleted = () => new Planted().put('a', { dots: ['1.10'] }).delete('x', { covers: ['a'], dots: ['2.11'] });
    expect(deleted().finalEverywhere({ vector: [] }).found(check)).toEqual([]);
    const partial = deleted()
      .final('n1', { vector: ['1.10', '2.11'] })
      .final('n2', { vector: [] });
    expect(partial.found(check)).toEqual(['a', 'x']);
    expect(new Planted().put('a').finalEverywhere({ vector: [] }).found(check)).toEqual(['a', 'a', 'a']);
    const recreated = deleted()
      .put('b', { covers: [], dots: ['1.12'] })
      .finalEverywhere({ vector: [] });
    expect(recreated.found(check)).toEqual(['b', 'b', 'b']);
  });

  it('lets a later write beat an earlier one in a last-write-wins bucket, and only a later one', () => {
    const planted = (winner: string) =>
      new Planted('lww')
        .put('a', { dots: ['1.10'] })
        .put('b', { dots: [winner] })
        .final('n1', { vector: ['1.10', winner], live: { [winner]: 'b' } })
        .found(check);
    expect(planted('2.11')).toEqual([]);
    expect(planted('2.9')).toEqual(['a']);
  });

  it('tells of a written key of which no owner was looked at', () => {
    expect(new Planted().put('a').hints('n1', 0).found(check)).toEqual(['a']);
  });

  it('is silent when the run did not heal', () => {
    expect(new Planted().put('a').found(check)).toEqual([]);
  });
});

describe('convergence', () => {
  const check = 'convergence';

  it('accepts equal states however they are ordered', () => {
    const planted = new Planted()
      .put('a')
      .final('n1', { vector: ['1.10', '2.11'], live: { '1.10': 'a', '2.11': 'b' } })
      .final('n2', { vector: ['2.11', '1.10'], live: { '2.11': 'b', '1.10': 'a' } })
      .hints('n1', 0);
    expect(planted.found(check)).toEqual([]);
  });

  it('sees owners that differ in a version, or in the vector alone', () => {
    const versions = new Planted()
      .final('n1', { vector: ['1.10'], live: { '1.10': 'a' } })
      .final('n2', { vector: ['1.10'] });
    expect(versions.found(check)).toEqual(['a']);
    const vectors = new Planted().final('n1', { vector: ['1.10'] }).final('n2', { vector: ['1.11'] });
    expect(vectors.violations(check)).toMatchObject([
      { key: 'b/k', detail: 'n1 holds [1/1/10]{}, n2 holds [1/1/11]{}' },
    ]);
  });

  it('keeps keys apart', () => {
    const planted = new Planted().final('n1', { vector: ['1.10'] }).final('n2', { key: 'other', vector: ['1.11'] });
    expect(planted.found(check)).toEqual([]);
  });

  it('sees a hint that still waits', () => {
    expect(new Planted().hints('n1', 0).hints('n2', 3).violations(check)).toMatchObject([{ key: 'n2', writes: [] }]);
  });
});
