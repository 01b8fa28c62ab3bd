/** The checks of what belongs together: attempts at one request, and the requests of one session. */

import { describe, expect, it } from 'vitest';
import { checkHistory } from '../../simulation/checkers/check-history.ts';
import { Planted } from './plant.ts';

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
