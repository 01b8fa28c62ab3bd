/** Which headers an operation looks at, found out by watching it, against those that are said of it. */

import { expect, test } from 'vitest';
import { createApp } from '#api/app.ts';
import type { BodyRoom } from '#api/exchange.ts';
import { OPERATIONS } from '#api/document/operations.ts';
import { parseTarget } from '#api/raw-path.ts';
import { utf8 } from '#kernel/bytes.ts';
import { StubNode } from '../stub-services.ts';
import { SAMPLES, type Sample } from './drives.ts';

/** Looked at for every request, or described elsewhere: the security scheme, the media types of bodies. */
const OF_ALL = new Set(['x-request-id', 'traceparent', 'tracestate', 'authorization', 'content-length']);
const OF_BODIES = new Set(['content-type', 'content-encoding']);
/** Refused, and for that looked at. */
const REFUSED = new Set(['if-unmodified-since', 'content-range']);
/** Take no part in sessions, and refuse the header of one. */
const APART = new Set(['GET /v1/kv/:bucket', 'GET /v1/watch/:bucket', 'POST /v1/batch']);
const CONDITIONS = new Set(['if-match', 'if-none-match']);

/** The names of the headers that the request was asked for. */
async function lookedAt({ method, target, body, json }: Sample): Promise<ReadonlySet<string>> {
  const node = new StubNode();
  node.properties.set('stock', { consistency: 'strong' });
  node.properties.set('carts', { conflicts: 'siblings' });
  node.properties.set('counters', { type: 'counter' });
  const app = createApp(node.services());
  const asked = new Set<string>();
  const headers: Readonly<Record<string, string>> = {
    'idempotency-key': 'a',
    'content-type': json ? 'application/json' : 'text/plain',
    'quoral-meta-a': 'b',
  };
  const incoming = {
    method,
    target: parseTarget(target),
    remote: 'test',
    header: (name: string) => {
      asked.add(name.replace(/^quoral-meta-.+/, 'quoral-meta-*'));
      return headers[name];
    },
    fields: (name: string) => {
      asked.add(name);
      return headers[name] === undefined ? [] : [headers[name]];
    },
    headerNames: () => Object.keys(headers),
    readBody: async (_limit: number, _deadline: number, room: BodyRoom) => {
      const bytes = utf8(body ?? '');
      room.reserve(bytes.length);
      return { kind: 'body' as const, bytes };
    },
  };
  await app.fetch(new Request('http://in.process/'), { incoming });
  return asked;
}

test.each(SAMPLES.filter(({ method }) => method !== 'HEAD'))('$method $template', async (sample) => {
  const { method, template } = sample;
  const path = template.replaceAll(/\{(\w+)\}/g, ':$1');
  const { headers = [], body } = OPERATIONS[`${method} ${path}`]!;
  const asked = await lookedAt(sample);
  const described = new Set<string>(headers);
  const keepsConditions = [...CONDITIONS].some((name) => described.has(name));
  // What goes with a value is looked at in deletions and operations as well, where it means nothing.
  const ofValues =
    method === 'DELETE' || /^POST .*kv/.test(`${method} ${path}`)
      ? new Set(['content-type', 'content-encoding', 'quoral-meta-*'])
      : new Set<string>();
  const more = [...asked].filter(
    (name) =>
      !described.has(name) &&
      !OF_ALL.has(name) &&
      !REFUSED.has(name) &&
      !(name === 'quoral-session' && APART.has(`${method} ${path}`)) &&
      (keepsConditions || !CONDITIONS.has(name)) &&
      !ofValues.has(name) &&
      !(body !== undefined && OF_BODIES.has(name)),
  );
  expect(more, 'looked at and not described').toEqual([]);
  // Accept counts for siblings only.
  const fewer = [...described].filter((name) => !asked.has(name) && name !== 'accept');
  expect(fewer, 'described and not looked at').toEqual([]);
});
