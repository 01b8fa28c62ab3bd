/** Several versions of a key in one answer, in both forms; one of them; and how many there may be. */

import { describe, expect, test } from 'vitest';
import { partsOf, valuesOf } from './multipart.ts';
import { CLOSE, rawOne } from './raw.ts';
import {
  call,
  contextOf,
  definedBucket,
  etagOf,
  freshKey,
  get,
  jsonOf,
  makeSiblings,
  NAMES,
  problem,
  put,
  siblingsKey,
} from './site.ts';

interface Sibling {
  readonly etag: string;
  readonly contentType: string;
  readonly lastModified: string;
  readonly meta: Readonly<Record<string, string>>;
  readonly value: string;
}

const JSON_WANTED = { headers: { accept: 'application/json' } };

async function siblingsOf(target: string): Promise<readonly Sibling[]> {
  return jsonOf(await get(target, JSON_WANTED))['siblings'] as readonly Sibling[];
}

export function siblingTests(): void {
  describe('siblings', () => {
    test('come as multipart/mixed, each part with its own header and untouched bytes', async () => {
      const target = await siblingsKey();
      const nasty = Buffer.from('\r\n--\r\n\r\n--x--\r\n\u0000\u00ff', 'latin1');
      const first = await put(target, nasty, { headers: { 'content-type': 'a/b; c=d', 'quoral-meta-by': 'ann' } });
      await put(target, '', { at: 'n2', headers: { 'content-encoding': 'gzip' } });
      const answer = await get(target, { at: 'n3' });
      expect(answer.status).toBe(300);
      contextOf(answer);
      const parts = partsOf(answer);
      expect(parts).toHaveLength(2);
      const tags = parts.map(({ headers }) => headers['etag']);
      expect(new Set([...tags, etagOf(answer)]).size).toBe(3);
      for (const { headers } of parts) expect(headers['last-modified']).toMatch(/ GMT$/);
      const part = parts.find(({ headers }) => headers['content-type'] === 'a/b; c=d');
      expect(part?.value.equals(nasty)).toBe(true);
      expect(part?.headers).toMatchObject({ 'quoral-meta-by': 'ann', etag: etagOf(first) });
      const other = parts.find((candidate) => candidate !== part);
      expect(other?.value.length).toBe(0);
      expect(other?.headers).toMatchObject({ 'content-type': 'application/octet-stream', 'content-encoding': 'gzip' });
    });

    test('come as JSON when that is wanted', async () => {
      const target = await siblingsKey();
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
      await put(target, bytes, { headers: { 'content-type': 'a/b', 'quoral-meta-by': 'ann' } });
      await put(target, 'x');
      const answer = await get(target, JSON_WANTED);
      expect([answer.status, answer.headers['content-type']]).toEqual([300, 'application/json']);
      const { context, siblings } = jsonOf(answer) as { context: string; siblings: readonly Sibling[] };
      expect(context).toBe(contextOf(answer));
      expect(siblings).toHaveLength(2);
      for (const { etag, lastModified } of siblings) {
        expect(etag).toEqual(expect.stringMatching(/./));
        expect(Number.isNaN(Date.parse(lastModified))).toBe(false);
      }
      const first = siblings.find(({ contentType }) => contentType === 'a/b');
      expect(first?.meta).toEqual({ by: 'ann' });
      expect(first?.value).toBe(bytes.toString('base64'));
      const second = siblings.find((sibling) => sibling !== first);
      expect(second).toMatchObject({ contentType: 'application/octet-stream', meta: {}, value: 'eA==' });
    });

    test.each([
      ['multipart/mixed', undefined],
      ['multipart/mixed', '*/*'],
      ['multipart/mixed', 'text/html'],
      ['multipart/mixed', 'multipart/mixed, application/json;q=0.9'],
      ['application/json', 'application/json'],
      ['application/json', 'application/*'],
      ['application/json', 'text/html, application/json;q=0.1'],
      ['application/json', 'multipart/mixed;q=0.2, application/json;q=0.3'],
      ['application/json', 'APPLICATION/JSON, */*;q=0.1'],
    ])('come as %s for Accept: %s', async (type, accept) => {
      const target = await siblingsKey();
      await makeSiblings(target, 'a', 'b');
      const answer = await get(target, { headers: accept === undefined ? {} : { accept } });
      expect(answer.headers['content-type']).toMatch(new RegExp(`^${type}(;|$)`));
      expect(valuesOf(answer)).toEqual(['a', 'b']);
    });

    test('have one tag, the same at every node and in both forms, that changes with every sibling', async () => {
      const target = await siblingsKey();
      await makeSiblings(target, 'a', 'b');
      const tags = new Set<string>();
      for (const at of NAMES) {
        tags.add(etagOf(await get(target, { at })));
        tags.add(etagOf(await get(target, { at, ...JSON_WANTED })));
      }
      expect(tags.size).toBe(1);
      await makeSiblings(target, 'c');
      expect(tags).not.toContain(etagOf(await get(target)));
    });

    test('one of them can be had by its tag, as it stands in either form', async () => {
      const target = await siblingsKey();
      const answers = await makeSiblings(target, 'a', 'b', 'c');
      for (const { etag, value } of await siblingsOf(target)) {
        for (const text of [etag, `"${etag.replaceAll('"', '')}"`]) {
          const one = await get(`${target}?sibling=${encodeURIComponent(text)}`, { at: 'n2' });
          expect([one.status, one.body.toString()]).toEqual([200, Buffer.from(value, 'base64').toString()]);
          expect(etagOf(one).replaceAll('"', '')).toBe(etag.replaceAll('"', ''));
        }
      }
      const first = await get(`${target}?sibling=${encodeURIComponent(etagOf(answers[0]!))}`);
      expect([first.status, first.body.toString()]).toEqual([200, 'a']);
    });

    test('one that is not there is 404, as is the tag of the whole set', async () => {
      const target = await siblingsKey();
      await makeSiblings(target, 'a', 'b');
      for (const tag of ['nonsense', etagOf(await get(target))]) {
        const missing = problem(await get(`${target}?sibling=${encodeURIComponent(tag)}`), 404, 'not-found');
        expect(missing['detail']).toContain('sibling');
      }
      problem(await get(`${freshKey()}?sibling=x`), 404, 'not-found');
    });

    test('no tag at all is none', async () => {
      const target = await siblingsKey();
      await makeSiblings(target, 'a', 'b');
      for (const query of ['sibling', 'sibling=', 'sibling=%22%22']) {
        const wrong = problem(await get(`${target}?${query}`), 400, 'invalid-request');
        expect(wrong).toMatchObject({ field: 'sibling', detail: expect.stringContaining('not the ETag') as string });
      }
    });

    test('a request for one goes only with reading', async () => {
      const target = await siblingsKey();
      for (const method of ['PUT', 'DELETE'])
        problem(await call(method, `${target}?sibling=x`), 400, 'invalid-request');
    });

    test('header fields in parts hold no line breaks of the client', async () => {
      const target = await siblingsKey();
      const head = `PUT ${target} HTTP/1.1\r\nQuoral-Meta-A: x\r\n\tfolded: y\r\nContent-Length: 1\r\n`;
      problem(await rawOne([head, CLOSE, 'x']), 400, 'invalid-request');
      await makeSiblings(target, 'a', 'b');
      expect(partsOf(await get(target))).toHaveLength(2);
    });
  });

  describe('too many siblings', () => {
    test('the 101st is refused with a context under which all can be replaced', async () => {
      const target = await siblingsKey();
      const values = Array.from({ length: 100 }, (_, i) => `v${i}`);
      for (let i = 0; i < 100; i += 10) {
        const answers = await Promise.all(
          values.slice(i, i + 10).map((value, at) => put(target, value, { at: NAMES[at % 3] })),
        );
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]));
      }
      expect(valuesOf(await get(target))).toEqual(values.toSorted());
      const refused = await put(target, 'one too many', { at: 'n2' });
      expect(problem(refused, 409, 'too-many-siblings')['detail']).toContain('100');
      expect(valuesOf(await get(target))).toEqual(values.toSorted());
      const merged = await put(target, 'merged', { at: 'n3', headers: { 'quoral-context': contextOf(refused) } });
      expect(merged.status).toBe(204);
      expect((await get(target)).body.toString()).toBe('merged');
    });

    test('neither may they be larger than 8 MiB together', async () => {
      const bucket = await definedBucket({ conflicts: 'siblings' });
      const target = freshKey(bucket);
      const large = Buffer.alloc(4 * 1024 * 1024, 'x');
      expect((await put(target, large)).status).toBe(204);
      expect((await put(target, large.subarray(0, 3 * 1024 * 1024), { at: 'n2' })).status).toBe(204);
      const refused = await put(target, large.subarray(0, 1024 * 1024), { at: 'n3' });
      // Their values alone would not be.
      expect(problem(refused, 409, 'too-many-siblings')['detail']).toMatch(
        /their 8388[0-9]+ bytes, with all .* above 8388608$/,
      );
      expect((await put(target, 'small', { headers: { 'quoral-context': contextOf(refused) } })).status).toBe(204);
      expect((await get(target)).body.toString()).toBe('small');
    });
  });
}
