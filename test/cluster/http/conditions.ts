/** Requests that depend on what is there: tags that must match, and tags that must not. */

import { describe, expect, test } from 'vitest';
import { valuesOf } from './multipart.ts';
import {
  call,
  contextOf,
  del,
  etagOf,
  freshKey,
  get,
  invalid,
  makeSiblings,
  NAMES,
  problem,
  put,
  siblingsKey,
  type Answer,
} from './site.ts';

const OTHER = '"0000000000000000"';

const ifMatch = (tag: string): { headers: Record<string, string> } => ({ headers: { 'if-match': tag } });
const ifNone = (tag: string): { headers: Record<string, string> } => ({ headers: { 'if-none-match': tag } });

function refused(answer: Answer): void {
  problem(answer, 412, 'precondition-failed');
  // What did not show what is there must not cover it.
  expect(answer.headers['quoral-context']).toBeUndefined();
}

async function deletedKey(): Promise<string> {
  const target = freshKey();
  await put(target, 'x');
  await del(target);
  return target;
}

export function conditionTests(): void {
  describe('on a live value', () => {
    test('If-Match with its tag, with a list that has it, or with any tag lets a request pass', async () => {
      const target = freshKey();
      let tag = etagOf(await put(target, '0'));
      for (const [index, list] of [
        (t: string) => t,
        (t: string) => `${OTHER}, ${t}`,
        (t: string) => `${OTHER} ,${t} `,
        () => '*',
      ].entries()) {
        const read = await get(target, ifMatch(list(tag)));
        expect([read.status, read.body.toString()]).toEqual([200, String(index)]);
        const written = await put(target, String(index + 1), { ...ifMatch(list(tag)), at: NAMES[index % 3] });
        expect(written.status).toBe(204);
        tag = etagOf(written);
      }
      expect((await del(target, ifMatch(tag))).status).toBe(204);
      problem(await get(target), 404, 'not-found');
    });

    test('If-Match with another tag, or with the right one marked weak, refuses it', async () => {
      const target = freshKey();
      const old = etagOf(await put(target, 'old'));
      const tag = etagOf(await put(target, 'new'));
      for (const list of [old, OTHER, `W/${tag}`, `${OTHER}, ${old}`]) {
        refused(await put(target, 'x', ifMatch(list)));
        refused(await del(target, { ...ifMatch(list), at: 'n2' }));
        refused(await get(target, ifMatch(list)));
        expect((await call('HEAD', target, ifMatch(list))).status).toBe(412);
      }
      expect((await get(target)).body.toString()).toBe('new');
    });

    test('If-None-Match with its tag answers a read with 304 and refuses a write', async () => {
      const target = freshKey();
      const tag = etagOf(await put(target, 'x'));
      for (const list of [tag, `W/${tag}`, `${OTHER}, ${tag}`, '*']) {
        for (const method of ['GET', 'HEAD']) {
          const answer = await call(method, target, { ...ifNone(list), at: 'n3' });
          expect([answer.status, answer.body.length, etagOf(answer)]).toEqual([304, 0, tag]);
          expect(answer.headers['content-type']).toBeUndefined();
        }
        refused(await put(target, 'y', ifNone(list)));
        refused(await del(target, ifNone(list)));
      }
      expect((await get(target)).body.toString()).toBe('x');
    });

    test('If-None-Match with another tag lets a request pass', async () => {
      const target = freshKey();
      await put(target, 'x');
      expect((await get(target, ifNone(OTHER))).status).toBe(200);
      expect((await put(target, 'y', ifNone(OTHER))).status).toBe(204);
      expect((await del(target, ifNone(OTHER))).status).toBe(204);
    });

    test('both together: If-Match is asked first', async () => {
      const target = freshKey();
      const tag = etagOf(await put(target, 'x'));
      const both = (match: string, none: string): { headers: Record<string, string> } => ({
        headers: { 'if-match': match, 'if-none-match': none },
      });
      expect((await get(target, both(tag, tag))).status).toBe(304);
      expect((await get(target, both(OTHER, tag))).status).toBe(412);
      expect((await get(target, both(tag, OTHER))).status).toBe(200);
      expect((await put(target, 'y', both(tag, tag))).status).toBe(412);
      expect((await put(target, 'y', both(tag, OTHER))).status).toBe(204);
    });
  });

  describe('on a key that never was, and on a deleted one', () => {
    test.each([
      ['never was', async () => freshKey()],
      ['was deleted', deletedKey],
    ])('%s: If-Match refuses, with any tag', async (_what, make) => {
      const target = await make();
      for (const tag of [OTHER, '*', `${OTHER}, ${OTHER}`]) {
        refused(await put(target, 'x', ifMatch(tag)));
        refused(await del(target, ifMatch(tag)));
        refused(await get(target, ifMatch(tag)));
        expect((await call('HEAD', target, ifMatch(tag))).status).toBe(412);
      }
      problem(await get(target), 404, 'not-found');
    });

    test.each([
      ['never was', async () => freshKey()],
      ['was deleted', deletedKey],
    ])('%s: If-None-Match passes, so a value is made only once', async (_what, make) => {
      const target = await make();
      problem(await get(target, ifNone('*')), 404, 'not-found');
      expect((await del(target, ifNone('*'))).status).toBe(204);
      expect((await put(target, 'first', ifNone('*'))).status).toBe(204);
      refused(await put(target, 'second', { ...ifNone('*'), at: 'n2' }));
      expect((await get(target)).body.toString()).toBe('first');
    });

    test('a tag of a value that was deleted matches no more', async () => {
      const target = freshKey();
      const tag = etagOf(await put(target, 'x'));
      await del(target);
      refused(await put(target, 'y', ifMatch(tag)));
      expect((await put(target, 'y', ifNone(tag))).status).toBe(204);
    });
  });

  describe('on siblings', () => {
    test('the tag of the set matches, that of a single one does not', async () => {
      const target = await siblingsKey();
      const answers = await makeSiblings(target, 'a', 'b');
      const set = etagOf(await get(target));
      for (const tag of answers.map(etagOf).filter((candidate) => candidate !== set)) {
        refused(await put(target, 'x', ifMatch(tag)));
        refused(await get(target, ifMatch(tag)));
        expect((await get(target, ifNone(tag))).status).toBe(300);
      }
      const first = etagOf(answers[0]!);
      expect(first).not.toBe(set);
      expect((await get(target, ifMatch(set))).status).toBe(300);
      expect((await get(target, ifNone(set))).status).toBe(304);
      expect((await get(target, ifMatch('*'))).status).toBe(300);
    });

    test('a matching tag covers them: a PUT under it replaces all, a DELETE removes all', async () => {
      const target = await siblingsKey();
      await makeSiblings(target, 'a', 'b');
      const merged = await put(target, 'ab', { ...ifMatch(etagOf(await get(target))), at: 'n2' });
      expect(merged.status).toBe(204);
      contextOf(merged);
      expect((await get(target)).body.toString()).toBe('ab');
      await makeSiblings(target, 'c');
      const set = etagOf(await get(target));
      expect((await del(target, ifMatch(set))).status).toBe(204);
      problem(await get(target), 404, 'not-found');
    });

    test('a tag of a set that has grown since refuses', async () => {
      const target = await siblingsKey();
      await makeSiblings(target, 'a', 'b');
      const set = etagOf(await get(target));
      await makeSiblings(target, 'c');
      refused(await put(target, 'x', ifMatch(set)));
      expect(valuesOf(await get(target))).toEqual(['a', 'b', 'c']);
    });

    test('a single one that is asked for is judged by its own tag', async () => {
      const target = await siblingsKey();
      const [first] = await makeSiblings(target, 'a', 'b');
      const tag = etagOf(first!);
      const one = `${target}?sibling=${encodeURIComponent(tag)}`;
      expect((await get(one, ifNone(tag))).status).toBe(304);
      expect((await get(one, ifNone(OTHER))).status).toBe(200);
      expect((await get(one, ifMatch(tag))).status).toBe(200);
    });
  });

  describe('what is no condition', () => {
    test.each(['', 'abc', '"abc', 'abc"', '"a" "b"', '"a";"b"', ',', 'w/"a"', '*, "a"', "'a'", '"a b"'])(
      '%j is refused before anything happens',
      async (text) => {
        const target = freshKey();
        for (const method of ['GET', 'PUT', 'DELETE']) {
          invalid(await call(method, target, ifMatch(text)), 'If-Match');
          invalid(await call(method, target, ifNone(text)), 'If-None-Match');
        }
        problem(await get(target), 404, 'not-found');
      },
    );
  });
}
