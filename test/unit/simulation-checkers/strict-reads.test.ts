/** The check that reads show what was acknowledged before they began. */

import { describe, expect, it } from 'vitest';
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
