/**
 * The description of the API as an OpenAPI 3.1 document: routes, and what is said of them, put together.
 */

import { BUCKET_NAME_PATTERN } from '#buckets/schema.ts';
import { TOKEN_NAME_FORM, TOKEN_NAME_PATTERN } from '#access/token.ts';
import type { Schema } from '#kernel/json-schema.ts';
import { present } from '#kernel/assert.ts';
import { MAX_KEY_BYTES } from '#api/key-path.ts';
import { PARAMETERS, type ParameterName } from '#api/parameters.ts';
import type { ProblemCode } from '#api/problem.ts';
import type { Method, Need, Route } from '#api/routes.ts';
import { ANSWER_HEADERS, type AnswerHeaderName } from './answer-headers.ts';
import { headerComponent, responsesOf, type Response } from './answers.ts';
import { COMPONENTS } from './components.ts';
import { TAGS, type Operation } from './operation.ts';
import { OPERATIONS } from './operations.ts';
import { PROBLEM_CAUSES } from './problem-causes.ts';
import { PROBLEM_EXAMPLES } from './problem-examples.ts';
import { REQUEST_HEADERS, type RequestHeaderName } from './request-headers.ts';

export interface DocumentedParameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly description: string;
  readonly schema: Schema;
}

export interface DocumentedOperation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly security: readonly object[];
  readonly parameters: readonly { readonly $ref: string }[];
  readonly requestBody?: {
    readonly description: string;
    readonly required: boolean;
    readonly content: Readonly<Record<string, { readonly schema: Schema; readonly example?: unknown }>>;
  };
  readonly responses: Readonly<Record<string, Response>>;
}

export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: Readonly<Record<string, unknown>> & {
    readonly title: string;
    readonly version: string;
    readonly description: string;
  };
  readonly servers: readonly object[];
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly parameters: Readonly<Record<string, DocumentedParameter>>;
    readonly headers: Readonly<Record<string, { description: string; required: boolean; schema: Schema }>>;
    readonly examples: Readonly<Record<string, { readonly summary: string; readonly value: unknown }>>;
    readonly securitySchemes: object;
  };
}

/** As in the paths. What is described may gain members, never lose them. */
const API_VERSION = '1';

const DESCRIPTION = `Quoral is a replicated key/value store in which every request chooses its consistency. Any node takes any request.

Every mistake and failure is answered by a problem document (RFC 9457), also where the HTTP parser gives up: 404 \`not-found\`
on paths that do not exist, 405 \`method-not-allowed\` with Allow, 408 \`request-timeout\`, 417 \`expectation-failed\`, 431
\`headers-too-large\` and 501 \`not-implemented\` for a Transfer-Encoding other than chunked. A write that fails says in \`outcome\` whether it may have been applied. An unknown or repeated query
parameter, an unknown member of a body and an unknown Quoral-* header are refused, never ignored.

Where the cluster asks for tokens (the setting \`auth\`), the security of an operation names the right that its token must have:
\`read\`, \`write\` or \`admin\` on the bucket of the path, or on all buckets where the path has none.`;

const NAME_FORM = '1-128 characters of A-Z a-z 0-9 . _ -';

/** Of path segments. */
const SEGMENTS: Readonly<Record<string, Omit<DocumentedParameter, 'name' | 'in' | 'required'>>> = {
  bucket: {
    description: 'The name of a bucket. One that nobody has defined has the defaults.',
    schema: { type: 'string', pattern: BUCKET_NAME_PATTERN, 'x-form': NAME_FORM, examples: ['carts'] },
  },
  key: {
    description: `1-${MAX_KEY_BYTES} bytes of UTF-8, percent-encoded; a slash in it is written %2F.`,
    schema: { type: 'string', minLength: 1, maxLength: MAX_KEY_BYTES, examples: ['user-17'] },
  },
  key64: {
    description:
      'The key in base64url without padding: for keys that HTTP clients rewrite, and those with control bytes.',
    schema: { type: 'string', pattern: '^[A-Za-z0-9_-]+$', 'x-form': 'base64url', examples: ['dXNlci0xNw'] },
  },
  name: {
    description: 'The name of a token.',
    schema: { type: 'string', pattern: TOKEN_NAME_PATTERN, 'x-form': TOKEN_NAME_FORM, examples: ['shop'] },
  },
  id: { description: 'The id of a plan.', schema: { type: 'string', examples: ['1'] } },
};

export function describeApi(routes: readonly Route[]): OpenApiDocument {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Quoral',
      version: API_VERSION,
      summary: 'A leaderless, replicated key/value store',
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'The node that serves this.' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths: Object.fromEntries(routes.map((route) => [templateOf(route.path), pathItem(route)])),
    components: {
      schemas: COMPONENTS,
      parameters: parameterComponents(),
      headers: headerComponents(),
      examples: Object.fromEntries(
        Object.entries(PROBLEM_EXAMPLES).map(([code, text]) => [
          code,
          { summary: PROBLEM_CAUSES[code as ProblemCode], value: JSON.parse(text) as unknown },
        ]),
      ),
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'A token of the cluster: `Bearer quoral_…`.' },
      },
    },
  };
}

function templateOf(path: string): string {
  return segmentsOf(path)
    .map((segment) => (segment.startsWith(':') ? `{${segment.slice(1)}}` : segment))
    .join('/');
}

function segmentsOf(path: string): readonly string[] {
  return path.split('/');
}

function pathItem({ path, methods, kind }: Route): Readonly<Record<string, DocumentedOperation>> {
  const item: Record<string, DocumentedOperation> = {};
  for (const [method, [need]] of Object.entries(methods) as [Method, readonly [Need, unknown]][]) {
    const operation = present(OPERATIONS[`${method} ${path}`], `a description of ${method} ${path}`);
    item[method.toLowerCase()] = documented(operation, path, need, kind, false);
    if (method === 'GET') item['head'] = documented(operation, path, need, kind, true);
  }
  return item;
}

function documented(
  operation: Operation,
  path: string,
  need: Need,
  kind: Route['kind'],
  head: boolean,
): DocumentedOperation {
  const { id, tag, summary, text = '', body } = operation;
  return {
    operationId: head ? `${id}Head` : id,
    tags: [tag],
    summary: head ? `${summary}: the headers alone` : summary,
    description: [text, rightText(need, path)].filter((part) => part !== '').join(' '),
    security: securityOf(need),
    parameters: parametersOf(operation, path),
    ...(body === undefined ? {} : { requestBody: requestBody(body) }),
    responses: responsesOf(operation, need, kind, head),
  };
}

function requestBody({ means, required, content, example }: NonNullable<Operation['body']>) {
  const media = Object.entries(content).map(([type, schema]) => [
    type,
    { schema, ...(example === undefined ? {} : { example }) },
  ]);
  return { description: means, required, content: Object.fromEntries(media) as Record<string, { schema: Schema }> };
}

/** In OpenAPI 3.1 the list beside a scheme that is not OAuth may name rights. */
function securityOf(need: Need): readonly object[] {
  switch (need) {
    case 'open':
      return [];
    case 'token':
    case 'figures':
    case 'concern':
      return [{ bearer: [] }];
    case 'read':
    case 'write':
    case 'admin':
      return [{ bearer: [need] }];
  }
}

function rightText(need: Need, path: string): string {
  const where = path.includes(':bucket') ? 'on the bucket' : 'on all buckets';
  switch (need) {
    case 'open':
      return 'Nobody needs a token for it.';
    case 'token':
      return 'Any token will do.';
    case 'figures':
      return 'Any token will do, and none is needed with the setting `metrics-open`.';
    case 'concern':
      return 'The token must have any right on the bucket.';
    case 'read':
    case 'write':
    case 'admin':
      return `The token must have the right \`${need}\` ${where}.`;
  }
}

function parametersOf({ parameters = [], needs = [], headers = [] }: Operation, path: string) {
  const key = path.includes('64/:bucket/') ? 'key64' : 'key';
  const segments = segmentsOf(path)
    .filter((segment) => segment.startsWith(':'))
    .map((segment) => `path.${segment === ':key' ? key : segment.slice(1)}`);
  const query = parameters.map((name) => `query.${name}${needs.includes(name) ? '.needed' : ''}`);
  const fields = [...headers, ...EVERY_REQUEST].filter((name) => describedAsParameter(name));
  return [...segments, ...query, ...fields.map((name) => `header.${headerKey(name)}`)].map((name) => ({
    $ref: `#/components/parameters/${name}`,
  }));
}

const EVERY_REQUEST: readonly RequestHeaderName[] = ['x-request-id', 'traceparent', 'tracestate'];

/** OpenAPI says that parameters with these names are to be ignored: it has other places for them. */
const ELSEWHERE: ReadonlySet<RequestHeaderName> = new Set(['accept', 'content-type', 'authorization']);

function describedAsParameter(name: RequestHeaderName): boolean {
  return !ELSEWHERE.has(name) && REQUEST_HEADERS[name].schema !== false;
}

function headerKey(name: RequestHeaderName): string {
  return name.replace('*', 'any');
}

function parameterComponents(): Readonly<Record<string, DocumentedParameter>> {
  const all: Record<string, DocumentedParameter> = {};
  for (const [name, segment] of Object.entries(SEGMENTS)) {
    all[`path.${name}`] = { name: name === 'key64' ? 'key' : name, in: 'path', required: true, ...segment };
  }
  for (const [name, { schema, means }] of Object.entries(PARAMETERS)) {
    all[`query.${name}`] = { name, in: 'query', required: false, description: means, schema };
  }
  for (const name of NEEDED) {
    all[`query.${name}.needed`] = { ...all[`query.${name}`]!, required: true };
  }
  for (const key of Object.keys(REQUEST_HEADERS) as RequestHeaderName[]) {
    const { name, means, schema } = REQUEST_HEADERS[key];
    if (!describedAsParameter(key) || schema === false) continue;
    all[`header.${headerKey(key)}`] = { name, in: 'header', required: false, description: means, schema };
  }
  return all;
}

const NEEDED: ReadonlySet<ParameterName> = new Set(Object.values(OPERATIONS).flatMap(({ needs = [] }) => needs));

function headerComponents(): OpenApiDocument['components']['headers'] {
  const all: Record<string, { description: string; required: boolean; schema: Schema }> = {};
  for (const [name, { means, schema }] of Object.entries(ANSWER_HEADERS)) {
    for (const required of [false, true]) {
      all[headerComponent(name as AnswerHeaderName, required)] = { description: means, required, schema };
    }
  }
  return all;
}
