/** The API's description of itself. */

import { expect, test } from 'vitest';
import { call, get, NAMES } from './site.ts';

export function documentTests(): void {
  test.each(['/openapi.json', '/docs'])('%s is the same at every node, and its ETag says so', async (path) => {
    const first = await get(path);
    expect(first.status).toBe(200);
    for (const at of NAMES) {
      const answer = await get(path, { at });
      expect(answer.body.equals(first.body)).toBe(true);
      const again = await get(path, { at, headers: { 'if-none-match': first.headers['etag']! } });
      expect([again.status, again.body.length]).toEqual([304, 0]);
      const head = await call('HEAD', path, { at });
      expect(head.headers['content-length']).toBe(String(first.body.length));
    }
  });

  test('every path of it leads somewhere, and no other method does', async () => {
    const { paths } = JSON.parse((await get('/openapi.json')).body.toString()) as { paths: Record<string, object> };
    for (const [template, item] of Object.entries(paths)) {
      const target = template.replaceAll(/\{\w+\}/g, 'x1');
      const answer = await call('PATCH', target);
      expect(answer.status, target).toBe(405);
      const allowed = Object.keys(item).map((method) => method.toUpperCase());
      expect(answer.headers['allow']!.split(', ').toSorted()).toEqual(allowed.toSorted());
    }
  });
}
