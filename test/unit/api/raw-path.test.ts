import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Problem } from '#api/problem.ts';
import { parseTarget, type Target } from '#api/raw-path.ts';

function accepted(raw: string): Target {
  const target = parseTarget(raw);
  if (target instanceof Problem) throw new Error(`refused ${raw}: ${target.detail}`);
  return target;
}

function refusal(raw: string): Problem {
  const target = parseTarget(raw);
  if (!(target instanceof Problem)) throw new Error(`accepted ${raw}`);
  return target;
}

describe('what passes stays raw', () => {
  test('path, segments and query', () => {
    expect(accepted('/v1/kv/b/a%2Fb%20c?r=1&w=2')).toEqual({
      path: '/v1/kv/b/a%2Fb%20c',
      segments: ['v1', 'kv', 'b', 'a%2Fb%20c'],
      query: 'r=1&w=2',
    });
  });

  test('only the first question mark begins the query', () => {
    expect(accepted('/livez?a=?b').query).toBe('a=?b');
    expect(accepted('/livez?').query).toBe('');
  });

  test('the absolute form loses scheme and authority, nothing else', () => {
    expect(accepted('http://host:7101/v1/kv/b/k%2e?r=1').path).toBe('/v1/kv/b/k%2e');
    expect(refusal('http://host/v1/kv/b/..').extras.field).toBe('key');
    expect(refusal('http://host').extras.field).toBe('path');
  });

  test('a page that people type is found with and without a slash at its end', () => {
    for (const [typed, path] of [
      ['/ui', '/ui/'],
      ['/ui/', '/ui/'],
      ['/docs', '/docs'],
      ['/docs/', '/docs'],
    ] as const) {
      expect(parseTarget(`${typed}?a`)).toMatchObject({ path, query: 'a' });
    }
    expect(parseTarget('/livez/')).toBeInstanceOf(Problem);
    expect(parseTarget('/docs/x/')).toBeInstanceOf(Problem);
  });

  test.each(['/v1/kv/b/...', '/v1/kv/b/.a', '/v1/kv/b/a..b', '/v1/kv/b/%2e%2e%2e', '/v1/kv/b/a%2F..%2Fb', '/', '/ui/'])(
    '%s',
    (raw) => {
      expect(accepted(raw).path).toBe(raw);
    },
  );
});

describe('what is refused', () => {
  test.each([
    ['/v1/kv/b/..', 'key'],
    ['/v1/kv/b/.', 'key'],
    ['/v1/kv/b/%2e%2e', 'key'],
    ['/v1/kv/b/%2E%2e', 'key'],
    ['/v1/kv/b/.%2e', 'key'],
    ['/v1/kv/b/%2e', 'key'],
    ['/v1/kv/../b/k', 'bucket'],
    ['/v1/kv/%2e%2e/k', 'bucket'],
    ['/v1/kv/b/%2e%2e/%2e%2e/cluster', 'key'],
    ['/../livez', 'path'],
    ['/v1/buckets/..', 'bucket'],
    ['/v1/ring/locate/b/..', 'key'],
  ])('dot segment in %s names the %s', (raw, field) => {
    expect(refusal(raw)).toMatchObject({ code: 'invalid-request', extras: { field } });
    expect(refusal(raw).detail).toContain('dot segment');
  });

  test.each([
    ['/v1/kv/b/%', 'key'],
    ['/v1/kv/b/%2', 'key'],
    ['/v1/kv/b/%zz', 'key'],
    ['/v1/kv/b/a%2?r=1', 'key'],
    ['/v1/kv/b%g0/k', 'bucket'],
    ['/%', 'path'],
  ])('malformed escape in %s names the %s', (raw, field) => {
    expect(refusal(raw)).toMatchObject({ code: 'invalid-request', extras: { field } });
    expect(refusal(raw).detail).toContain('malformed escape');
  });

  test.each(['/v1/kv/b/a%00', '/v1/kv/b/%0d%0aX', '/v1/kv/b/%1f', '/v1/kv/b/%7F'])('control byte in %s', (raw) => {
    expect(refusal(raw).detail).toMatch(/^key: control byte %.. *; send it as \/v1\/kv64/);
  });

  test.each(['/a b', '/a\\..\\b', '/a#b', '/a\u0000', '/a\n', '/é', '/a\u{1f600}', '/a\u007f'])(
    'unescaped character in %j',
    (raw) => {
      expect(refusal(raw).detail).toContain('must be percent-encoded');
    },
  );

  test.each([
    ['/v1/kv/b/', 'key'],
    ['/v1/kv//k', 'bucket'],
    ['//livez', 'path'],
    ['/livez/', 'path'],
    ['/v1/kv/b/k/', 'path'],
  ])('empty segment in %s names the %s', (raw, field) => {
    expect(refusal(raw)).toMatchObject({ code: 'invalid-request', extras: { field } });
  });

  test.each(['', '**', '*/', 'livez', 'ftp://host/livez', 'host:443'])('%j does not begin with a slash', (raw) => {
    expect(refusal(raw).extras.field).toBe('path');
  });
});

const piece = fc.constantFrom(
  '/',
  '.',
  '%2e',
  '%2E',
  '..',
  'v1',
  'kv',
  'a',
  '%2F',
  '\\',
  '%',
  '%00',
  '?',
  '#',
  'é',
  '//',
  ' ',
  ';',
  '%5c',
);

test('a path that passes means the same to those who normalise: none of its segments is resolved or added', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const target = parseTarget(`/${pieces.join('')}`);
      fc.pre(!(target instanceof Problem));
      const { pathname } = new URL(`http://host${target.path}`);
      expect(pathname.split('/').slice(1)).toEqual(target.segments);
    }),
    { numRuns: 3000 },
  );
});

test('no text makes it throw, and what it refuses says which field is wrong', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
      for (const raw of [text, `/${text}`, `/v1/kv/b/${text}`]) {
        const target = parseTarget(raw);
        if (target instanceof Problem) expect(target.detail.startsWith(`${target.extras.field}: `)).toBe(true);
        else
          expect(raw.endsWith(target.path + (target.query === '' ? '' : `?${target.query}`)) || raw.endsWith('?')).toBe(
            true,
          );
      }
    }),
    { numRuns: 500 },
  );
});
