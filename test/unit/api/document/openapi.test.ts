/** The description of the API by itself: a valid document, complete, and the same as what the code reads. */

import { readdirSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { Validator } from '@seriousme/openapi-schema-validator';
import { expect, test } from 'vitest';
import type { Response } from '#api/document/answers.ts';
import { describeApi } from '#api/document/openapi.ts';
import { OPERATIONS } from '#api/document/operations.ts';
import { REQUEST_HEADERS, type RequestHeaderName } from '#api/document/request-headers.ts';
import { ANSWER_HEADERS } from '#api/document/answer-headers.ts';
import { COMPONENTS } from '#api/document/components.ts';
import { PROBLEM_CAUSES } from '#api/document/problem-causes.ts';
import { PARAMETERS } from '#api/parameters.ts';
import { ROUTES } from '#api/routes.ts';
import { harness, jsonOf, textOf } from '../client.ts';

const document = describeApi(ROUTES);
const text = JSON.stringify(document);
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
);

test('it is OpenAPI 3.1 by the schema of the standard', async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(JSON.parse(text) as Record<string, unknown>);
  expect(errors).toBeUndefined();
  expect([valid, validator.version]).toEqual([true, '3.1']);
});

test('every route and method is described, and nothing else', () => {
  const routed = ROUTES.flatMap(({ path, methods }) => Object.keys(methods).map((method) => `${method} ${path}`));
  expect(Object.keys(OPERATIONS).toSorted()).toEqual(routed.toSorted());
});

test('every operation has a name of its own, a known tag, words, and every parameter of its path', () => {
  const ids = operations.map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
  const tags = document.tags.map(({ name }) => name);
  for (const { path, operation } of operations) {
    expect(tags).toContain(operation.tags[0]);
    expect(operation.summary).not.toBe('');
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const described = operation.parameters
      .map(({ $ref }) => document.components.parameters[$ref.split('/').at(-1)!]!)
      .filter((parameter) => parameter.in === 'path');
    expect(described.map(({ name }) => name)).toEqual(inPath);
  }
});

test('every reference leads somewhere, and every component is used', () => {
  const used = new Set([...text.matchAll(/"\$ref":"#\/components\/([^"]+)"/g)].map((match) => match[1]!));
  const components = Object.entries(document.components).flatMap(([kind, all]) =>
    kind === 'securitySchemes' ? [] : Object.keys(all).map((name) => `${kind}/${name}`),
  );
  expect([...used].filter((reference) => !components.includes(reference))).toEqual([]);
  // A header has two components; one of them may be of no use.
  const unused = components.filter((name) => !used.has(name) && !/^(headers|examples)\//.test(name));
  const always = new Set(Object.keys(PARAMETERS).map((name) => `parameters/query.${name}`));
  expect(unused.filter((name) => !always.has(name))).toEqual([]);
});

test('every parameter and header of the tables is in some operation', () => {
  for (const name of Object.keys(PARAMETERS)) expect(text).toContain(`#/components/parameters/query.${name}`);
  for (const name of Object.keys(ANSWER_HEADERS)) {
    if (name === 'Allow') continue; // of answers to methods that no operation has
    expect(text).toContain(`#/components/headers/${name.replace('*', 'Any')}`);
  }
  expect(Object.keys(COMPONENTS)).toEqual(Object.keys(document.components.schemas));
});

test('the headers that the code reads are those of the table', () => {
  const folder = new URL('../../../../src/api/', import.meta.url);
  const source = readdirSync(folder)
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(new URL(name, folder), 'utf8'))
    .join('\n');
  const read = new Set([...source.matchAll(/\.(?:header|fields)\('([^']+)'\)/g)].map((match) => match[1]!));
  // Belongs to the connection, not to a request.
  read.delete('connection');
  const known = (Object.keys(REQUEST_HEADERS) as RequestHeaderName[]).filter((name) => !name.includes('*'));
  expect([...read].toSorted()).toEqual(known.toSorted());
});

test('the parameters of an operation are those that its parser knows, in the same order', async () => {
  const { send } = harness((node) => node.properties.set('strong', { consistency: 'strong' }));
  for (const [line, { parameters = [], answers }] of Object.entries(OPERATIONS)) {
    if (Object.keys(answers).length === 0 && !line.endsWith('apply')) continue;
    const [method, path] = line.split(' ') as [string, string];
    const family = path.includes('leases') ? 'strong' : 'b';
    const target = path
      .replace(':bucket', family)
      .replace(':key', 'YWE')
      .replace(/:name|:id/, 'n');
    const answer = await send(method, `${target}?no-such-parameter=1`);
    const { detail, field } = jsonOf(answer);
    expect([answer.status, field], line).toEqual([400, 'no-such-parameter']);
    const known = /known here: (.*)$/.exec(detail as string)?.[1]?.split(', ') ?? [];
    // A deletion refuses a ttl with words of its own.
    const expected = method === 'DELETE' && path.includes('/kv') ? known.filter((name) => name !== 'ttl') : known;
    expect([...parameters], line).toEqual(expected);
  }
});

test('every problem is an answer of some operation, or said of all paths', () => {
  const answered = new Set(operations.flatMap(({ operation }) => Object.values(operation.responses).flatMap(codesOf)));
  const others = Object.keys(PROBLEM_CAUSES).filter((code) => !answered.has(`urn:quoral:problem:${code}`));
  expect(others).toEqual(['method-not-allowed', 'expectation-failed']);
  for (const code of others) expect(document.info.description).toContain(`\`${code}\``);
});

function codesOf({ content }: Response): readonly unknown[] {
  return content?.['application/problem+json']?.schema.properties?.['type']?.enum ?? [];
}

test('the examples fit the schemas that they stand beside', () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: 'api', components: { schemas: document.components.schemas } });
  let count = 0;
  for (const { operation } of operations) {
    for (const { content = {} } of [...Object.values(operation.responses), operation.requestBody ?? {}]) {
      for (const { schema, example } of Object.values(content)) {
        if (example === undefined) continue;
        count += 1;
        const text = JSON.stringify(schema).replaceAll('"#/components', '"api#/components');
        const validate = ajv.compile(JSON.parse(text) as object);
        expect(validate(example), `${operation.operationId}: ${ajv.errorsText(validate.errors)}`).toBe(true);
      }
    }
  }
  expect(count).toBeGreaterThan(20);
  for (const { value } of Object.values(document.components.examples)) {
    expect(ajv.validate({ $ref: 'api#/components/schemas/Problem' }, value), ajv.errorsText()).toBe(true);
  }
});

test('the document and the page are served with an ETag, which also answers', async () => {
  const { send } = harness((node) => (node.guarded = true));
  for (const [path, type] of [
    ['/openapi.json', 'application/json'],
    ['/docs', 'text/html; charset=utf-8'],
  ] as const) {
    const whole = await send('GET', path);
    expect([whole.status, whole.headers.get('content-type')]).toEqual([200, type]);
    const etag = whole.headers.get('etag')!;
    const again = await send('GET', path, { 'If-None-Match': etag });
    expect([again.status, again.body.length, again.headers.get('etag')]).toEqual([304, 0, etag]);
    expect((await send('GET', path, { 'If-Match': '"other"' })).status).toBe(412);
    expect((await send('HEAD', path)).headers.get('content-length')).toBe(String(whole.body.length));
  }
  expect(jsonOf(await send('GET', '/openapi.json'))).toEqual(JSON.parse(text));
});

test('the page has every operation, and nothing that is loaded or run', async () => {
  const answer = await harness().send('GET', '/docs');
  const html = textOf(answer);
  for (const { method, operation } of operations) {
    if (method !== 'head') expect(html.split(`id="${operation.operationId}"`)).toHaveLength(2);
  }
  const ids = [...html.matchAll(/ id="([^"]+)"/g)].map((match) => match[1]!);
  expect(new Set(ids).size).toBe(ids.length);
  for (const [, target] of html.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(target);
  expect(html).not.toMatch(/<script|<link|<img|src=|url\(|@import|javascript:| style=| on\w+=/);
  expect(answer.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-[\w+/]+=*'; /);
});
