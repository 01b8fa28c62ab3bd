/**
 * Every answer that an operation can give, by status: those that are said of it, and the problems that follow from its route,
 * its rights and its body.
 */

import type { Schema } from '#kernel/json-schema.ts';
import { PROBLEM_TYPE_PREFIX, problemHeaders, statusOf, type ProblemCode } from '#api/problem.ts';
import type { Need, Route } from '#api/routes.ts';
import type { AnswerHeaderName } from './answer-headers.ts';
import { component } from './components.ts';
import { EXAMPLES } from './examples.ts';
import type { Operation } from './operation.ts';
import { PROBLEM_CAUSES } from './problem-causes.ts';
import { PROBLEM_EXAMPLES } from './problem-examples.ts';

const EVERY_ANSWER: readonly AnswerHeaderName[] = ['X-Request-Id', 'Server-Timing'];
const RIGHTS: ReadonlySet<Need> = new Set(['read', 'write', 'admin', 'concern']);

/** In the order of their statuses. */
export function problemsOf(operation: Operation, need: Need, kind: Route['kind']): readonly ProblemCode[] {
  const { body, problems = [] } = operation;
  const codes = new Set<ProblemCode>(['invalid-request', 'internal-error', 'not-implemented', ...problems]);
  if (need !== 'open') codes.add('unauthorized');
  if (RIGHTS.has(need)) codes.add('forbidden');
  if (kind !== 'watch') codes.add('overloaded');
  // A node that is not ready may not know yet that a token was revoked.
  if (kind === 'data' || (kind === 'work' && need === 'admin')) codes.add('not-ready');
  if (body !== undefined) codes.add('request-timeout').add('value-too-large');
  if (body?.content['application/json'] !== undefined) codes.add('unsupported-media-type');
  return [...codes].sort((a, b) => statusOf(a) - statusOf(b));
}

interface Case {
  readonly means: string;
  readonly always: readonly AnswerHeaderName[];
  readonly sometimes: readonly AnswerHeaderName[];
  readonly content: Readonly<Record<string, Media>>;
}

interface Media {
  readonly schema: Schema;
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly $ref: string }>>;
}

export interface Response {
  readonly description: string;
  readonly headers: Readonly<Record<string, { readonly $ref: string }>>;
  readonly content?: Readonly<Record<string, Media>>;
}

/** Without content for HEAD. */
export function responsesOf(
  operation: Operation,
  need: Need,
  kind: Route['kind'],
  head: boolean,
): Readonly<Record<string, Response>> {
  const codes = problemsOf(operation, need, kind);
  const statuses = new Set([...Object.keys(operation.answers).map(Number), ...codes.map(statusOf)]);
  const responses = [...statuses]
    .sort((a, b) => a - b)
    .map((status) => {
      const said = operation.answers[status] === undefined ? [] : [successCase(operation, status)];
      const problems = codes.filter((code) => statusOf(code) === status);
      const cases = problems.length === 0 ? said : [...said, problemCase(operation, problems)];
      return [String(status), response(cases, head)] as const;
    });
  return Object.fromEntries(responses);
}

function response(cases: readonly Case[], head: boolean): Response {
  const headers = new Set(cases.flatMap(({ always, sometimes }) => [...always, ...sometimes]));
  const content = Object.assign({}, ...cases.map((one) => one.content)) as Case['content'];
  return {
    description: cases.map(({ means }) => means).join(' '),
    headers: Object.fromEntries(
      [...headers].map((name) => {
        const always = cases.every((one) => one.always.includes(name));
        return [name, { $ref: `#/components/headers/${headerComponent(name, always)}` }];
      }),
    ),
    ...(head || Object.keys(content).length === 0 ? {} : { content }),
  };
}

/** A header that an answer always has is another component than the same header where it may be missing. */
export function headerComponent(name: AnswerHeaderName, always: boolean): string {
  return name.replace('*', 'Any') + (always ? '.always' : '');
}

function successCase(operation: Operation, status: number): Case {
  const { means, headers = [], sometimes = [], content = {} } = operation.answers[status]!;
  const media = Object.entries(content).map(([type, schema]) => {
    const example = EXAMPLES[`${operation.id} ${status} ${type}`];
    return [type, example === undefined ? { schema } : { schema, example: JSON.parse(example) as unknown }] as const;
  });
  return { means, always: [...EVERY_ANSWER, ...headers], sometimes, content: Object.fromEntries(media) };
}

function problemCase({ problemHeaders: extra = {} }: Operation, codes: readonly ProblemCode[]): Case {
  const always = new Set<AnswerHeaderName>([...EVERY_ANSWER, 'Cache-Control']);
  const sometimes = new Set<AnswerHeaderName>();
  const own = codes.map((code) => Object.keys(problemHeaders(code)));
  if (own.some((names) => names.includes('www-authenticate'))) always.add('WWW-Authenticate');
  if (own.every((names) => names.includes('retry-after'))) always.add('Retry-After');
  else if (own.some((names) => names.includes('retry-after'))) sometimes.add('Retry-After');
  for (const code of codes) for (const name of extra[code] ?? []) sometimes.add(name);
  const examples = codes.filter((code) => PROBLEM_EXAMPLES[code] !== undefined);
  const media: Media = {
    schema: {
      ...component('Problem'),
      properties: { type: { enum: codes.map((code) => PROBLEM_TYPE_PREFIX + code) } },
    },
    ...(examples.length === 0
      ? {}
      : { examples: Object.fromEntries(examples.map((code) => [code, { $ref: `#/components/examples/${code}` }])) }),
  };
  return {
    means: codes.map((code) => `\`${code}\`: ${PROBLEM_CAUSES[code]}`).join(' '),
    always: [...always],
    sometimes: [...sometimes],
    content: { 'application/problem+json': media },
  };
}
