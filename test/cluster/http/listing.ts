/** Listing the keys of a bucket. */

import { describe, expect, test } from 'vitest';
import { call, definedBucket, del, freshBucket, get, invalid, jsonOf, NAMES, put } from './site.ts';

interface Page {
  readonly keys: readonly string[];
  readonly next: string | null;
}

async function pageOf(target: string): Promise<Page> {
  const answer = await get(target);
  expect(answer.status, answer.body.toString()).toBe(200);
  return jsonOf(answer) as unknown as Page;
}

const KEYS = ['a', 'a/1', 'a/2', 'b', 'b b', 'zoë', '€', '😀'];

async function filled(bucket: string): Promise<void> {
  for (const key of KEYS) {
    const target = `/v1/kv/${bucket}/${encodeURIComponent(key)}`;
    expect((await put(target, `of ${key}`)).status).toBe(204);
  }
}

export function listingTests(): void {
  describe('listings', () => {
    test('give the live keys in the order of their bytes, at every node', async () => {
      const bucket = freshBucket();
      await filled(bucket);
      await put(`/v1/kv/${bucket}/dead`, 'x');
      await del(`/v1/kv/${bucket}/dead`);
      for (const at of NAMES) expect(jsonOf(await get(`/v1/kv/${bucket}`, { at }))).toEqual({ keys: KEYS, next: null });
      expect(await pageOf(`/v1/kv/${bucket}?prefix=a%2F`)).toEqual({ keys: ['a/1', 'a/2'], next: null });
      expect(await pageOf(`/v1/kv/${bucket}?prefix=%E2%82%AC`)).toEqual({ keys: ['€'], next: null });
      expect(await pageOf('/v1/kv/never-written')).toEqual({ keys: [], next: null });
    });

    test('go on where the cursor says, and the Link header leads there', async () => {
      const bucket = freshBucket();
      await filled(bucket);
      const seen: string[] = [];
      let target: string | undefined = `/v1/kv/${bucket}?limit=3&prefix=`;
      for (let i = 0; target !== undefined; i++) {
        const answer = await get(target, { at: NAMES[i % 3] });
        const { keys, next } = jsonOf(answer) as unknown as Page;
        expect(keys.length).toBeLessThanOrEqual(3);
        seen.push(...keys);
        const link = answer.headers['link'];
        expect(link === undefined).toBe(next === null);
        target = link?.match(/^<([^>]+)>; rel="next"$/)?.[1];
        if (target !== undefined) expect(target).toContain(`after=${next}`);
      }
      expect(seen).toEqual(KEYS);
    });

    test('stream as lines for those who accept that', async () => {
      const bucket = freshBucket();
      await filled(bucket);
      const answer = await get(`/v1/kv/${bucket}`, { headers: { accept: 'application/x-ndjson' } });
      expect(answer.headers['content-type']).toBe('application/x-ndjson');
      const lines = answer.body.toString().trimEnd().split('\n');
      expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
        ...KEYS.map((key) => ({ key })),
        { next: null },
      ]);
    });

    test('of strong buckets show what is there', async () => {
      const bucket = await definedBucket({ consistency: 'strong' });
      await filled(bucket);
      await del(`/v1/kv/${bucket}/b`);
      expect((await pageOf(`/v1/kv/${bucket}`)).keys).toEqual(KEYS.filter((key) => key !== 'b'));
      invalid(await get(`/v1/kv/${bucket}?r=1`), 'r');
    });

    test('refuse what they do not know', async () => {
      const target = `/v1/kv/${freshBucket()}`;
      for (const limit of ['0', '1001', 'x', '-1']) invalid(await get(`${target}?limit=${limit}`), 'limit');
      for (const after of ['a', 'AAAA', '%20']) invalid(await get(`${target}?after=${after}`), 'after');
      invalid(await get(`${target}?prefix=${'x'.repeat(1025)}`), 'prefix');
      invalid(await get(`${target}?w=1`), 'w');
      invalid(await get(`${target}?r=4`), 'r');
      expect((await call('HEAD', target)).status).toBe(200);
    });

    test('a dropped bucket is empty at once', async () => {
      const bucket = await definedBucket({});
      await filled(bucket);
      expect((await del(`/v1/buckets/${bucket}`)).status).toBe(204);
      expect(await pageOf(`/v1/kv/${bucket}`)).toEqual({ keys: [], next: null });
      await put(`/v1/kv/${bucket}/new`, 'x');
      expect((await pageOf(`/v1/kv/${bucket}`)).keys).toEqual(['new']);
    });
  });
}
