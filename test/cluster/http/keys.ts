/** Which names buckets and keys may have, in both forms of a path, and that no path is taken for another. */

import { describe, expect, test } from 'vitest';
import { rawTarget } from './raw.ts';
import { call, contextOf, del, freshBucket, freshKey, get, invalid, problem, put, site } from './site.ts';

function base64url(key: Uint8Array | string): string {
  return Buffer.from(key).toString('base64url');
}

async function storesAndFinds(target: string): Promise<void> {
  const answer = await put(target, target);
  expect([answer.status, target, answer.body.toString()]).toEqual([204, target, '']);
  expect((await get(target, { at: 'n2' })).body.toString()).toBe(target);
}

export function keyTests(): void {
  describe('bucket names', () => {
    test('have 1 to 128 letters, digits, dots, underscores and hyphens', async () => {
      for (const name of ['a', 'Z', '0', '-', '_', '...', '.a', 'a.', '..b', 'x'.repeat(128), 'A-z_0.9'])
        await storesAndFinds(`/v1/kv/${name}/k`);
    });

    test('are case-sensitive, and the same when they are needlessly escaped', async () => {
      const bucket = freshBucket();
      await put(`/v1/kv/${bucket}/k`, 'lower');
      problem(await get(`/v1/kv/${bucket.toUpperCase()}/k`), 404, 'not-found');
      expect((await get(`/v1/kv/%62${bucket.slice(1)}/k`)).body.toString()).toBe('lower');
    });

    test.each(['x'.repeat(129), 'a~b', 'a%20b', 'a%2Fb', 'a:b', 'a+b', '%C3%BC', 'a%2fb', '(x)', "it's"])(
      '%s is none',
      async (name) => {
        for (const family of ['kv', 'kv64']) invalid(await put(`/v1/${family}/${name}/aw`, 'x'), 'bucket');
        invalid(await get(`/v1/buckets/${name}`), 'bucket');
      },
    );

    test.each(['.', '..', '%2e', '%2E%2e', '.%2e'])('the dot segment %s is none', async (name) => {
      for (const family of ['kv', 'kv64']) invalid(await rawTarget('GET', `/v1/${family}/${name}/aw`), 'bucket');
    });

    test('must not be empty', async () => {
      invalid(await rawTarget('GET', '/v1/kv//k'), 'bucket');
      invalid(await rawTarget('GET', '/v1/kv/'), 'bucket');
    });
  });

  describe('keys', () => {
    test('have 1 to 1024 bytes, however many characters those are', async () => {
      const bucket = freshBucket();
      const euro = '%E2%82%AC';
      await storesAndFinds(`/v1/kv/${bucket}/k`);
      await storesAndFinds(`/v1/kv/${bucket}/${'k'.repeat(1024)}`);
      await storesAndFinds(`/v1/kv/${bucket}/${'%6B'.repeat(1023)}z`);
      await storesAndFinds(`/v1/kv/${bucket}/${euro.repeat(341)}k`);
      for (const key of ['k'.repeat(1025), `${euro.repeat(341)}kk`, '%20'.repeat(1025)])
        invalid(await put(`/v1/kv/${bucket}/${key}`, 'x'), 'key');
      invalid(await put(`/v1/kv64/${bucket}/${base64url('k'.repeat(1025))}`, 'x'), 'key');
      invalid(await rawTarget('PUT', `/v1/kv/${bucket}/`), 'key');
    });

    test('are any UTF-8', async () => {
      const keys = [
        'ключ',
        '鍵',
        '🗝️',
        'é',
        'e\u0301',
        '\u{10ffff}',
        ' ',
        '\u00a0',
        'a b',
        '"',
        '<&>',
        '\u202e',
        '\ufeff',
      ];
      const bucket = freshBucket();
      for (const key of keys) await storesAndFinds(`/v1/kv/${bucket}/${encodeURIComponent(key)}`);
      // Equal to the eye is not equal: what was put under one form is not under the other.
      expect((await get(`/v1/kv/${bucket}/${encodeURIComponent('é')}`)).body.toString()).toContain('%C3%A9');
      expect((await get(`/v1/kv/${bucket}/${encodeURIComponent('e\u0301')}`)).body.toString()).toContain('e%CC%81');
    });

    test.each(['%ff', '%C3', '%C0%80', '%ED%A0%80', '%F4%90%80%80', 'a%80', '%E2%82'])(
      '%s is not UTF-8',
      async (escaped) => {
        const target = `/v1/kv/b/${escaped}`;
        for (const method of ['GET', 'PUT', 'DELETE']) invalid(await rawTarget(method, target), 'key');
      },
    );

    test('are the same however they are escaped', async () => {
      const bucket = freshBucket();
      await put(`/v1/kv/${bucket}/a~%E2%82%AC`, 'x');
      for (const key of ['%61~%E2%82%AC', 'a%7E%e2%82%ac', '%61%7e%e2%82%aC'])
        expect((await get(`/v1/kv/${bucket}/${key}`)).body.toString(), key).toBe('x');
    });

    test('may hold an escaped slash, which separates nothing', async () => {
      const bucket = freshBucket();
      await storesAndFinds(`/v1/kv/${bucket}/a%2Fb`);
      await storesAndFinds(`/v1/kv/${bucket}/%2F`);
      await storesAndFinds(`/v1/kv/${bucket}/%2Flivez`);
      await storesAndFinds(`/v1/kv/${bucket}/x%2F..%2F..%2Fcluster`);
      const plain = problem(await get(`/v1/kv/${bucket}/a/b`), 404, 'not-found');
      expect(plain['detail']).toContain('%2F');
    });

    test('a plus is a plus, and a semicolon, an at and an equals sign are themselves', async () => {
      const bucket = freshBucket();
      await put(`/v1/kv/${bucket}/a+b`, 'plus');
      problem(await get(`/v1/kv/${bucket}/a%20b`), 404, 'not-found');
      expect((await get(`/v1/kv/${bucket}/a%2Bb`)).body.toString()).toBe('plus');
      for (const key of ['a;b', 'a@b', 'a=b', 'a:b', 'a,b', "a'b", '(a)', 'a*b', '$', '!'])
        await storesAndFinds(`/v1/kv/${bucket}/${key}`);
    });

    test('of two buckets never meet', async () => {
      const [one, other] = [freshBucket(), freshBucket()];
      await put(`/v1/kv/${one}/k`, 'one');
      problem(await get(`/v1/kv/${other}/k`), 404, 'not-found');
    });
  });

  describe('keys in base64url', () => {
    test('are the same keys', async () => {
      const bucket = freshBucket();
      const first = await put(`/v1/kv/${bucket}/${encodeURIComponent('a/ü')}`, 'one');
      const other = `/v1/kv64/${bucket}/${base64url('a/ü')}`;
      expect((await get(other)).body.toString()).toBe('one');
      const second = await put(other, 'two', { headers: { 'quoral-context': contextOf(first) } });
      expect(second.status).toBe(204);
      expect((await get(`/v1/kv/${bucket}/a%2F%C3%BC`)).body.toString()).toBe('two');
      expect((await del(other)).status).toBe(204);
      problem(await get(`/v1/kv/${bucket}/a%2F%C3%BC`), 404, 'not-found');
    });

    test.each(['.', '..', '\u0000', 'a\r\nb', '\u007f', 'a/../b', '%2e%2e', '\\', '#?', 'k'.repeat(1024)])(
      'may be %j',
      async (key) => {
        await storesAndFinds(`/v1/kv64/plain64/${base64url(key)}`);
      },
    );

    test.each([
      ['padded', 'YQ=='],
      ['with bits left over', 'YR'],
      ['of an impossible length', 'YWJjZ'],
      ['in the other alphabet', 'a+b_'],
      ['with escapes', 'YQ%3D%3D'],
      ['escaped', '%59Q'],
      ['with spaces', 'Y%20Q'],
      ['not UTF-8', base64url(Buffer.from([0xff]))],
      ['an encoded surrogate', base64url(Buffer.from([0xed, 0xa0, 0x80]))],
    ])('must be canonical: %s', async (_what, key) => {
      for (const method of ['GET', 'PUT', 'DELETE']) invalid(await call(method, `/v1/kv64/b/${key}`), 'key');
    });

    test('must not be empty', async () => {
      invalid(await rawTarget('GET', '/v1/kv64/b/'), 'key');
    });
  });

  describe('paths are read as they stand', () => {
    test.each(['%', '%2', '%zz', 'a%', '%u0041', '%-1', '% 1'.replace(' ', '%20'.slice(0, 1))])(
      'the malformed escape in %s is refused',
      async (key) => {
        for (const method of ['GET', 'PUT', 'DELETE', 'HEAD']) {
          const answer = await rawTarget(method, `/v1/kv/b/${key}`);
          if (method === 'HEAD') expect(answer.status).toBe(400);
          else invalid(answer, 'key');
        }
      },
    );

    test.each(['%00', 'a%0d%0aX-Injected:%20yes', '%1f', '%7f', 'a%09b'])(
      'the control byte in %s is refused',
      async (key) => {
        const answer = await rawTarget('PUT', `/v1/kv/b/${key}`);
        invalid(answer, 'key');
        expect(answer.headers['x-injected']).toBeUndefined();
        // And says which way such keys go.
        expect(problem(answer, 400, 'invalid-request')['detail']).toContain('/v1/kv64/');
      },
    );

    test.each([
      '/v1/kv/b/../../cluster',
      '/v1/kv/b/%2e%2e/%2e%2e/cluster',
      '/v1/kv/b/..',
      '/v1/kv/b/.',
      '/v1/kv/b/%2E.',
      '/v1/kv/../cluster',
      '/./v1/cluster',
      '/../v1/cluster',
      '/v1/./cluster',
      '/v1/cluster/.',
      '/v1/%2e%2e/livez',
      '//v1/cluster',
      '/v1//cluster',
      '/v1/cluster/',
      '/v1\\cluster',
      '/v1/kv\\b\\k',
      '/livez#x',
      'livez',
      'http://localhost/../livez',
      'http://localhost',
      '*',
    ])('%s reaches nothing', async (target) => {
      problem(await rawTarget('GET', target), 400, 'invalid-request');
    });

    test('an escaped letter in a fixed part of a path makes it another path', async () => {
      for (const target of ['/%6civez', '/v1%2Fcluster', '/v1/k%76/b/k', '/V1/cluster', '/v1/KV/b/k', '/livez%20'])
        problem(await rawTarget('GET', target), 404, 'not-found');
    });

    test('the absolute form, which is for proxies, means the same as the path in it', async () => {
      const target = freshKey();
      await put(target, 'x');
      const answer = await rawTarget('GET', `${site().url('n1')}${target}`);
      expect([answer.status, answer.body.toString()]).toEqual([200, 'x']);
    });

    test('raw bytes beyond ASCII and raw spaces are refused', async () => {
      for (const target of ['/v1/kv/b/\u00c3\u00a9', '/v1/kv/b/a b', '/v1/kv/b/a\tb', '/v1/kv/b/a\u0000b'])
        expect((await rawTarget('GET', target)).status, JSON.stringify(target)).toBe(400);
    });
  });
}
