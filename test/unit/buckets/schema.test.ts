import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { epoch } from '#kernel/identity.ts';
import { DEFAULT_PROPERTIES } from '#buckets/definition.ts';
import type { BucketProperties } from '#buckets/definition.ts';
import { fillDefaults, isBucketName, parseProperties, propertiesFromRow, rowFromProperties } from '#buckets/schema.ts';

describe('bucket names', () => {
  it.each(['a', 'A-z_0.9', '...', '.a', 'x'.repeat(128)])('take %s', (name) => expect(isBucketName(name)).toBe(true));
  it.each(['', '.', '..', 'a/b', 'a b', 'ä', 'a\n', 'x'.repeat(129), '%2e'])('refuse %j', (name) => {
    expect(isBucketName(name)).toBe(false);
  });
});

describe('parsing bucket properties', () => {
  it.each([
    {},
    { n: 1 },
    { n: 7, r: 7, w: 'all', pr: 0, pw: 'one', dw: 7 },
    { sloppy: false, conflicts: 'siblings', consistency: 'eventual', type: 'map', ttl: 1 },
    { consistency: 'strong', ttl: null },
    { consistency: 'strong', r: 2, w: 'quorum', pr: 'quorum', dw: 0, sloppy: false },
    { consistency: 'strong', n: 1, w: 'all' },
    // Inherited values give way: dw stays at its default, which is above this w.
    { w: 'one' },
    { w: 1, dw: 1 },
    { n: 1, pr: 'all' },
  ])('takes %j as it is', (input) => {
    expect(parseProperties(input)).toEqual({ kind: 'ok', properties: input });
  });

  it.each([
    [null, 'body', /JSON object.*null/],
    [[], 'body', /a list/],
    ['n=3', 'body', /"n=3"/],
    [{ n: 0 }, 'n', /whole number from 1 to 7, got 0/],
    [{ n: 8 }, 'n', /1 to 7/],
    [{ n: 2.5 }, 'n', /1 to 7/],
    [{ n: '3' }, 'n', /got "3"/],
    [{ n: null }, 'n', /got null/],
    [{ r: 0 }, 'r', /1 to 7 or one, quorum, all/],
    [{ r: 'most' }, 'r', /got "most"/],
    [{ r: 4 }, 'r', /4 is more than n, which is 3/],
    [{ n: 2, w: 3 }, 'w', /more than n/],
    [{ pr: 3 }, 'pr', /3 is more than r, which is quorum, with n = 3/],
    [{ r: 'one', pr: 'quorum' }, 'pr', /quorum is more than r, which is one/],
    [{ w: 2, pw: 'all' }, 'pw', /more than w/],
    [{ w: 1, dw: 2 }, 'dw', /more than w/],
    [{ dw: -1 }, 'dw', /from 0 to 7/],
    [{ sloppy: 'true' }, 'sloppy', /true or false/],
    [{ conflicts: 'crdt' }, 'conflicts', /siblings, lww/],
    [{ consistency: 'strong', conflicts: 'siblings' }, 'conflicts', /no siblings/],
    [{ consistency: 'strong', r: 1 }, 'r', /a majority of the owners, so it is quorum, not 1/],
    [{ consistency: 'strong', n: 5, w: 'all' }, 'w', /so it is quorum, not all/],
    [{ type: 'list' }, 'type', /value, counter, set, map, register, flag/],
    [{ ttl: 0 }, 'ttl', /of seconds from 1 to \d+ or null/],
    [{ ttl: 1e12 }, 'ttl', /of seconds from 1 to \d+ or null/],
    [{ N: 3 }, 'N', /not a bucket property; these are: n, r, w/],
    [JSON.parse('{"__proto__": 1}'), '__proto__', /not a bucket property/],
    [{ constructor: 1 }, 'constructor', /not a bucket property/],
  ])('refuses %j', (input, field, detail) => {
    expect(parseProperties(input)).toEqual({ kind: 'invalid', field, detail: expect.stringMatching(detail) as string });
  });

  it('never throws, and what it takes it takes again', () => {
    const name = fc.constantFrom(...Object.keys(DEFAULT_PROPERTIES));
    const value = fc.oneof(
      fc.integer({ min: -1, max: 8 }),
      fc.constantFrom('one', 'quorum', 'all', 'lww', true, null, 'x'),
    );
    fc.assert(
      fc.property(fc.oneof(fc.dictionary(name, value), fc.anything()), (input) => {
        const parsed = parseProperties(input);
        if (parsed.kind === 'ok') expect(parseProperties(parsed.properties)).toEqual(parsed);
      }),
    );
  });
});

describe('rows of the chain', () => {
  const row = { name: 'b', incarnation: 0, version: epoch(2), dropped: false };

  it('hold the whole definition', () => {
    const wanted: BucketProperties = fillDefaults({ n: 5, w: 'one', conflicts: 'siblings', ttl: 60 });
    expect(propertiesFromRow({ ...row, properties: rowFromProperties(wanted) })).toEqual(wanted);
  });

  it('of another version have defaults for what is missing and lose what is unknown', () => {
    const properties = { r: 'all', compression: 'zstd' };
    expect(propertiesFromRow({ ...row, properties })).toEqual({ ...DEFAULT_PROPERTIES, r: 'all' });
    expect(() => propertiesFromRow({ ...row, properties: { type: 'graph' } })).toThrow(/bucket b of epoch 2: type/);
  });

  it('of a dropped bucket mean the defaults', () => {
    expect(propertiesFromRow({ ...row, dropped: true, properties: { n: 5 } })).toEqual(DEFAULT_PROPERTIES);
  });
});
