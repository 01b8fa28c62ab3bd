import { createHash } from 'node:crypto';
import { Script } from 'node:vm';
import { expect, test } from 'vitest';
import { ROUTES } from '#api/routes.ts';
import { harness, textOf } from './client.ts';

const digestOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

test('the page may run its own script, have its own style, and ask its own node, and nothing else', async () => {
  const { send } = harness((node) => (node.guarded = true));
  const answer = await send('GET', '/ui/');
  expect(answer.status).toBe(200);
  const html = textOf(answer);
  const script = /<script>([\s\S]*?)<\/script>/.exec(html)![1]!;
  const style = /<style>([\s\S]*?)<\/style>/.exec(html)![1]!;
  expect(answer.headers.get('content-security-policy')).toBe(
    `default-src 'none'; script-src ${digestOf(script)}; style-src ${digestOf(style)}; connect-src 'self'; ` +
      `base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  );
  expect(html).not.toMatch(/ src=| style=| on\w+=|url\(|@import|javascript:|https?:/);
  // A browser takes it: no types are left in it.
  expect(() => new Script(script)).not.toThrow();
  expect((await send('HEAD', '/ui/')).headers.get('content-length')).toBe(String(answer.body.length));
});

test('the script makes no markup of what it is told, and asks what there is', async () => {
  const html = textOf(await harness().send('GET', '/ui/'));
  const script = /<script>([\s\S]*?)<\/script>/.exec(html)![1]!;
  expect(script).not.toMatch(/innerHTML = |insertAdjacentHTML|outerHTML|document\.write|eval\(/);
  const asked = [...script.matchAll(/'(\/(?:v1\/)?[a-z/]+)'/g)].map(([, path]) => path!);
  expect(asked).toEqual(
    expect.arrayContaining(['/v1/cluster', '/v1/ring/transfers', '/readyz', '/healthz', '/metrics']),
  );
  for (const path of asked)
    expect(
      ROUTES.map((route) => route.path),
      path,
    ).toContain(path);
});

test('the figures that the script looks for are those that a node shows', async () => {
  const { node, send } = harness();
  node.refusal = 'not now';
  expect((await send('GET', '/v1/kv/b/k')).status).toBe(503);
  node.refusal = undefined;
  const figures = textOf(await send('GET', '/metrics'));
  const script = /<script>([\s\S]*?)<\/script>/.exec(textOf(await send('GET', '/ui/')))![1]!;
  const patterns = [...script.matchAll(/summed\(text, \/(.*)\/gm\)/g)].map(([, pattern]) => pattern!);
  expect(patterns).toHaveLength(3);
  for (const pattern of patterns) expect(figures).toMatch(new RegExp(pattern, 'm'));
});
