/**
 * What the description says of query parameters and bodies is what requests are judged by: whatever a validator of the standard
 * makes of the described schema, the node makes of the request.
 */

import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describeApi } from '#api/document/openapi.ts';
import { PARAMETERS, type ParameterName } from '#api/parameters.ts';
import { ROUTES } from '#api/routes.ts';
import { parseProperties } from '#buckets/schema.ts';
import { utf8 } from '#kernel/bytes.ts';
import type { Schema } from '#kernel/json-schema.ts';
import { harness, jsonOf } from '../client.ts';

const document = describeApi(ROUTES);
const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema({ $id: 'api', components: { schemas: document.components.schemas } });

/** As OpenAPI has texts of a URL stand for values. */
function valuesOf(text: string): readonly unknown[] {
  if (text === 'true' || text === 'false') return [text, text === 'true'];
  return String(Number(text)) === text ? [text, Number(text)] : [text];
}

const texts = fc.oneof(
  fc.constantFrom('one', 'quorum', 'all', 'true', 'false', 'True', 'body', 'strict_quorum', 'local_quorum', 'new', ''),
  fc.constantFrom('0', '1', '2', '3', '7', '8', '-1', '01', '1.5', '1e3', '60000', '60001', '3153600000', '3153600001'),
  fc.nat(10 ** 10).map(String),
  fc.stringMatching(/^[a-z0-9_.-]{0,9}$/),
);

/** Which of them a text of the right form can still be refused for: a token is signed, and a bucket has its n. */
const MORE_IS_ASKED: ReadonlySet<ParameterName> = new Set(['session', 'sibling', 'r', 'w', 'pr', 'pw', 'dw']);

const CASES: readonly (readonly [ParameterName, string, string])[] = [
  ...(['r', 'w', 'pr', 'pw', 'dw', 'sloppy', 'consistency', 'session', 'timeout', 'sibling'] as const).map(
    (name) => [name, 'GET', '/v1/kv/wide/k?'] as const,
  ),
  ...(['ttl', 'return', 'w', 'dw'] as const).map((name) => [name, 'PUT', '/v1/kv/wide/k?'] as const),
  ['token', 'DELETE', '/v1/leases/stock/k?'],
  ['timeout', 'DELETE', '/v1/buckets/wide?'],
];

describe.each(CASES)('%s of %s %s', (name, method, target) => {
  test('is taken when the description says so, and not otherwise', async () => {
    const { send } = harness((node) => {
      node.members = 7;
      node.properties.set('wide', { n: 7 });
      node.properties.set('stock', { consistency: 'strong' });
    });
    const schema: Schema = PARAMETERS[name].schema;
    const validate = ajv.compile(schema);
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        const answer = await send(method, `${target}${name}=${text}`);
        const refused = answer.status === 400 && jsonOf(answer)['field'] === name;
        const described = valuesOf(text).some((value) => validate(value));
        if (refused) expect(described && !MORE_IS_ASKED.has(name), text).toBe(false);
        else expect(described, `${text} is taken`).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});

const scalar = fc.constantFrom<unknown>(
  null,
  true,
  0,
  1,
  2,
  3,
  7,
  8,
  -1,
  1.5,
  'one',
  'all',
  'lww',
  'siblings',
  'map',
  '',
  'read',
  'a b',
);
const value = fc.oneof(scalar, fc.array(scalar, { maxLength: 3 }), fc.dictionary(fc.constantFrom('n1', 'n2'), scalar));
const body = (...names: readonly string[]): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 9, arbitrary: fc.dictionary(fc.constantFrom(...names, 'other'), value) },
    { weight: 1, arbitrary: value },
  );

const BODIES: readonly (readonly [string, string, string, fc.Arbitrary<unknown>])[] = [
  ['post', '/v1/leases/{bucket}/{key}', '/v1/leases/stock/k', body('holder', 'ttl')],
  ['post', '/v1/tokens', '/v1/tokens', body('name', 'scopes', 'ttl')],
  ['post', '/v1/ring/repair', '/v1/ring/repair', body('bucket', 'reclaim')],
  ['post', '/v1/ring/force', '/v1/ring/force', body('lost', 'accept')],
  ['post', '/v1/ring/force/{bucket}/{key}', '/v1/ring/force/stock/k', body('id')],
  ['post', '/v1/ring/plans', '/v1/ring/plans', body('join', 'leave', 'replace', 'weights', 'zones', 'acceptLossOf')],
  ['post', '/v1/ring/plans/{id}/apply', '/v1/ring/plans/some-id/apply', body('throttle')],
  ['post', '/v1/ring/transfers/pause', '/v1/ring/transfers/pause', body('id')],
  ['post', '/v1/ring/transfers/resume', '/v1/ring/transfers/resume', body('id', 'acceptLossOf')],
  ['post', '/v1/ring/transfers/abort', '/v1/ring/transfers/abort', body('id', 'acceptLossOf')],
];

test.each(BODIES)('the body of %s %s is taken when the description says so', async (method, path, target, bodies) => {
  const { send } = harness((node) => node.properties.set('stock', { consistency: 'strong' }));
  const validate = validatorOf(document.paths[path]![method]!.requestBody!.content['application/json']!.schema);
  await fc.assert(
    fc.asyncProperty(bodies, async (given) => {
      const text = JSON.stringify(given);
      const answer = await send(method.toUpperCase(), target, { 'content-type': 'application/json' }, utf8(text));
      expect(answer.status !== 400, text).toBe(validate(JSON.parse(text)));
    }),
    { numRuns: 300 },
  );
});

/** Values that fit one by one can contradict each other: such a definition is refused for its sense, not for its form. */
test('a definition of a bucket is taken only when the description says so', () => {
  const validate = validatorOf(
    document.paths['/v1/buckets/{bucket}']!['put']!.requestBody!.content['application/json']!.schema,
  );
  fc.assert(
    fc.property(body('n', 'r', 'w', 'pr', 'sloppy', 'conflicts', 'type', 'ttl'), (given) => {
      const parsed = parseProperties(given);
      if (parsed.kind === 'ok') expect(validate(given)).toBe(true);
      else if (validate(given)) expect(parsed.detail).toMatch(/is more than|has no siblings/);
    }),
    { numRuns: 500 },
  );
});

function validatorOf(schema: Schema) {
  return ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"api#/components')) as object);
}
