/**
 * Holds answers against the description of the API: what is not described is a failure at once, and at the end so is whatever
 * is described and was never seen.
 */

import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { expect } from 'vitest';
import type { InProcessAnswer } from '#api/in-process.ts';
import type { DocumentedOperation, OpenApiDocument } from '#api/document/openapi.ts';
import type { Schema } from '#kernel/json-schema.ts';

/** What HTTP says of a connection and of the body's length. */
const OF_THE_CONNECTION = new Set([
  'connection',
  'content-length',
  'content-type',
  'date',
  'keep-alive',
  'transfer-encoding',
]);

export interface Sighting {
  readonly id: string;
  readonly status: number;
  readonly type: string;
  readonly code: string | undefined;
  readonly body: unknown;
}

export class Judge {
  readonly sightings: Sighting[] = [];
  readonly #document: OpenApiDocument;
  readonly #patterns: readonly { readonly template: string; readonly pattern: RegExp }[];
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });
  readonly #compiled = new Map<Schema, ValidateFunction>();
  readonly #seen = new Set<string>();

  constructor(document: OpenApiDocument) {
    this.#document = document;
    this.#patterns = Object.keys(document.paths).map((template) => ({
      template,
      pattern: new RegExp(`^${template.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
    }));
    this.#ajv.addFormat('date-time', (text: string) => new Date(text).toISOString() === text);
    this.#ajv.addSchema({ $id: 'api', components: { schemas: closed(document.components.schemas) } });
  }

  /** `path` is as the document has it, such as `/v1/kv/{bucket}/{key}`. */
  see(method: string, path: string, answer: InProcessAnswer): void {
    const operation = this.#document.paths[path]?.[method.toLowerCase()];
    if (operation === undefined) throw new Error(`${method} ${path} is not described`);
    const { operationId } = operation;
    const where = `${operationId} ${answer.status}`;
    const text = new TextDecoder().decode(answer.body);
    const response = operation.responses[String(answer.status)];
    expect(response, `${where} is not described: ${text.slice(0, 300)}`).toBeDefined();
    this.#seen.add(where);
    this.#headers(where, answer, response!);
    if (method === 'HEAD') return;
    if (answer.body.length === 0 && response!.content === undefined) return;
    this.#body(operation, where, answer, text);
  }

  #headers(where: string, { headers }: InProcessAnswer, response: DocumentedOperation['responses'][string]): void {
    const described = Object.entries(response.headers).map(([name, { $ref }]) => {
      const { schema, required } = this.#document.components.headers[$ref.split('/').at(-1)!]!;
      return { name, low: name.toLowerCase(), schema, required };
    });
    for (const [name, value] of headers) {
      if (OF_THE_CONNECTION.has(name)) continue;
      const line = described.find(
        ({ low }) => low === name || (low.endsWith('*') && name.startsWith(low.slice(0, -1))),
      );
      expect(line, `${where}: the header ${name} is not described`).toBeDefined();
      this.#seen.add(`${where} header ${line!.name}`);
      this.#fits(`${where}: ${name}`, line!.schema, line!.schema.type === 'integer' ? Number(value) : value);
    }
    for (const { low, required } of described) {
      if (required) expect([...headers.keys()], `${where}: ${low} should always be there`).toContain(low);
    }
  }

  #body(operation: DocumentedOperation, where: string, { headers, body, status }: InProcessAnswer, text: string): void {
    const type = (headers.get('content-type') ?? 'none').split(';')[0]!;
    const content = operation.responses[String(status)]!.content ?? {};
    const known = content[type] === undefined && content['*/*'] !== undefined ? '*/*' : type;
    expect(Object.keys(content), `${where}: a body of type ${type} is not described`).toContain(known);
    this.#seen.add(`${where} type ${known}`);
    const isJson = known === 'application/json' || known === 'application/problem+json';
    const value: unknown = isJson ? JSON.parse(text) : text;
    if (isJson)
      expect(unmetWithoutFigures(value), `${where}: how many were needed, and how many there were`).toEqual([]);
    if (isJson) this.#fits(where, content[known]!.schema, value);
    else if (known !== '*/*') expect(body.length, `${where}: an empty body`).toBeGreaterThan(0);
    const code = known === 'application/problem+json' ? (value as { type: string }).type : undefined;
    if (code !== undefined) this.#seen.add(`${where} ${code}`);
    this.sightings.push({ id: operation.operationId, status, type: known, code: code?.split(':').at(-1), body: value });
  }

  #fits(where: string, schema: Schema, value: unknown): void {
    let validate = this.#compiled.get(schema);
    if (validate === undefined) {
      const text = JSON.stringify(closed(schema)).replaceAll('"#/components', '"api#/components');
      validate = this.#ajv.compile(JSON.parse(text) as object);
      this.#compiled.set(schema, validate);
    }
    expect(validate(value), `${where}: ${this.#ajv.errorsText(validate.errors)} in ${JSON.stringify(value)}`).toBe(
      true,
    );
  }

  /** The path of the description that the request target leads to; undefined when there is none for the method. */
  pathOf(method: string, target: string): string | undefined {
    const [path = ''] = target.split('?');
    const fitting = this.#patterns.find(({ pattern }) => pattern.test(path))?.template;
    const known = fitting !== undefined && method.toLowerCase() in this.#document.paths[fitting]!;
    return known ? fitting : undefined;
  }

  /** What is described and was never seen. */
  unseen(): readonly string[] {
    const expected = Object.values(this.#document.paths).flatMap((item) =>
      Object.values(item).flatMap(({ operationId, responses }) =>
        Object.entries(responses).flatMap(([status, { headers, content = {} }]) => {
          const where = `${operationId} ${status}`;
          const codes = content['application/problem+json']?.schema.properties?.['type']?.enum ?? [];
          return [
            where,
            ...Object.keys(headers).map((name) => `${where} header ${name}`),
            ...Object.keys(content).map((type) => `${where} type ${type}`),
            ...codes.map((code) => `${where} ${code}`),
          ];
        }),
      ),
    );
    return expected.filter((line) => !this.#seen.has(line));
  }
}

/** The same schema, in which no member is allowed that is not described: answers may gain members, but not in silence. */
function closed<T>(schema: T): T {
  if (typeof schema !== 'object' || schema === null) return schema;
  if (Array.isArray(schema)) return schema.map((one: unknown) => closed(one)) as T;
  const inner = Object.fromEntries(Object.entries(schema).map(([name, one]) => [name, closed(one as unknown)]));
  const open = 'properties' in inner && inner['type'] === 'object' && !('additionalProperties' in inner);
  return (open ? { ...inner, additionalProperties: false } : inner) as T;
}

const UNMET = /:(?:quorum-unavailable|quorum-timeout|session-not-met)$/;

/** Problems of unmet quorums, also those of a batch, that do not say so. */
function unmetWithoutFigures(value: unknown): readonly unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  const { type, needed, got } = value as Readonly<Record<string, unknown>>;
  const isUnmet = typeof type === 'string' && UNMET.test(type);
  const lacks = isUnmet && !(typeof needed === 'number' && typeof got === 'number' && needed > 0);
  return [...(lacks ? [value] : []), ...Object.values(value).flatMap(unmetWithoutFigures)];
}
