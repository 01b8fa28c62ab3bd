import { createHash } from 'node:crypto';
import { Script, runInNewContext } from 'node:vm';
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

/** As much of a browser's elements as the script needs. */
class Element {
  #parts: (Element | string)[] = [];
  readonly #attributes: string[] = [];

  append(...parts: (Element | string)[]): void {
    this.#parts.push(...parts);
  }

  replaceChildren(...parts: (Element | string)[]): void {
    this.#parts = parts;
  }

  get childNodes(): readonly (Element | string)[] {
    return this.#parts;
  }

  setAttribute(name: string, value: string): void {
    this.#attributes.push(`${name}=${value}`);
  }

  addEventListener(): void {}

  get innerHTML(): string {
    const inner = this.#parts.map((part) => (typeof part === 'string' ? part : part.innerHTML)).join(' ');
    return this.#attributes.length === 0 ? inner : `[${this.#attributes.join(' ')}] ${inner}`;
  }
}

test('what is only a warning is shown as one, and a slow change is not shown as one that stands', async () => {
  const script = /<script>([\s\S]*?)<\/script>/.exec(textOf(await harness().send('GET', '/ui/')))![1]!;
  const checks = [
    { name: 'disk', ok: true, detail: 'writable' },
    { name: 'certificates', ok: true, warning: true, detail: 'EXPIRED' },
    { name: 'clocks', ok: false, detail: 'apart' },
  ];
  const answers: Readonly<Record<string, unknown>> = {
    '/readyz': { checks },
    '/healthz': { checks: [] },
    '/v1/cluster': { clusterId: 'c', epoch: 1, self: 'n1', members: [] },
    '/v1/ring/transfers': { state: 'running', moves: 9, done: 3, bytesPerSecond: 3000, secondsLeft: 7, waiting: [] },
  };
  const elements = new Map<string, Element>();
  const getElementById = (id: string): Element => {
    const element = elements.get(id) ?? new Element();
    elements.set(id, element);
    return element;
  };
  await new Promise<void>((looked) => {
    runInNewContext(script, {
      ...{ Headers, AbortSignal, performance },
      document: { getElementById, createElement: () => new Element() },
      sessionStorage: { getItem: () => null },
      fetch: async (path: string) => Promise.resolve(Response.json(answers[path] ?? {})),
      setTimeout: () => looked(),
    });
  });
  const shown = (id: string): string => elements.get(id)!.innerHTML;
  expect(shown('health')).toContain('disk [class=good] ok writable');
  expect(shown('health')).toContain('certificates [class=mind] warning EXPIRED');
  expect(shown('health')).toContain('clocks [class=bad] failed apart');
  expect(shown('transfers')).toContain('3 of 9 replicas are where they should be, 3.0 kB/s, about 7 s left');
});
