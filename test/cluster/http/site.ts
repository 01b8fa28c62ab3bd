/**
 * One cluster of three real processes for the whole suite, and the ways to talk to it. Request targets go out exactly as
 * they are written: nothing between the test and the socket may tidy them up. Every answer is held against the description of the
 * API that the nodes serve.
 */

import { expect } from 'vitest';
import { Pool } from 'undici';
import { Judge } from '../../unit/api/document/judge.ts';
import { TestCluster } from '../support.ts';

export type Name = 'n1' | 'n2' | 'n3';

export const NAMES: readonly Name[] = ['n1', 'n2', 'n3'];

let cluster: TestCluster | undefined;
/** Knows what the nodes say of themselves at /openapi.json. */
let judge: Judge | undefined;
const pools = new Map<Name, Pool>();

/** Makes the ends of things quick to reach; and requests that say nothing of it have the time that a busy machine needs. */
const FLAGS = ['--founding-patience', '10s', '--request-timeout', '30s'];

export async function openSite(): Promise<void> {
  cluster = await TestCluster.start(3, FLAGS);
  for (const name of NAMES) pools.set(name, new Pool(cluster.url(name), { connections: 8 }));
  judge = new Judge(JSON.parse((await get('/openapi.json')).body.toString()) as ConstructorParameters<typeof Judge>[0]);
}

export async function closeSite(): Promise<void> {
  await Promise.all([...pools.values()].map((pool) => pool.destroy()));
  await cluster?.stop();
}

export function site(): TestCluster {
  if (cluster === undefined) throw new Error('the cluster has not been started');
  return cluster;
}

export function portOf(name: Name): number {
  return Number(new URL(site().url(name)).port);
}

export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface Sent {
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Uint8Array | string | undefined;
  readonly at?: Name | undefined;
}

/** Sends the target as it is, to n1 unless another node is named. */
export async function call(method: string, target: string, { headers, body, at = 'n1' }: Sent = {}): Promise<Answer> {
  const pool = pools.get(at);
  if (pool === undefined) throw new Error('the cluster has not been started');
  const request = {
    path: target,
    method,
    headers: { ...headers },
    body: body ?? null,
  };
  const answer = await pool.request(request);
  const received: Answer = {
    status: answer.statusCode,
    headers: Object.fromEntries(
      Object.entries(answer.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value!]),
    ),
    body: Buffer.from(await answer.body.arrayBuffer()),
  };
  holdAgainstDescription(method, target, received);
  return received;
}

/** Whatever this suite asks for, and whatever comes back, must be described. What the HTTP parser answers has no id. */
function holdAgainstDescription(method: string, target: string, { status, headers, body }: Answer): void {
  const path = judge?.pathOf(method, target);
  if (path === undefined || headers['x-request-id'] === undefined) return;
  judge!.see(method, path, { status, headers: new Map(Object.entries(headers)), body });
}

export const get = (target: string, sent?: Sent): Promise<Answer> => call('GET', target, sent);
export const put = (target: string, body: Uint8Array | string, sent: Sent = {}): Promise<Answer> =>
  call('PUT', target, { ...sent, body });
export const del = (target: string, sent?: Sent): Promise<Answer> => call('DELETE', target, sent);

export function jsonOf(answer: Answer): Record<string, unknown> {
  expect(answer.headers['content-type'], answer.body.toString()).toMatch(/^application\/(problem\+)?json$/);
  return JSON.parse(answer.body.toString()) as Record<string, unknown>;
}

export function contextOf(answer: Answer): string {
  const context = answer.headers['quoral-context'];
  expect(context, `no context in ${answer.status} ${answer.body.toString()}`).toMatch(/^[A-Za-z0-9_-]+$/);
  return context!;
}

export function etagOf(answer: Answer): string {
  const etag = answer.headers['etag'];
  expect(etag, `no ETag in ${answer.status} ${answer.body.toString()}`).toMatch(/^"[\x21\x23-\x7e]+"$/);
  return etag!;
}

/** Expects the answer to be a problem document with this status and code, and gives its members. */
export function problem(answer: Answer, status: number, code: string): Record<string, unknown> {
  expect([answer.status, answer.body.toString()]).toEqual([status, expect.stringContaining(`:${code}"`)]);
  expect(answer.headers['content-type']).toBe('application/problem+json');
  const members = jsonOf(answer);
  expect(members).toMatchObject({
    type: expect.stringMatching(new RegExp(`[:/]${code}$`)) as string,
    title: expect.stringMatching(/./) as string,
    status,
    detail: expect.stringMatching(/./) as string,
  });
  return members;
}

/** A 400 that names what is wrong with the request. */
export function invalid(answer: Answer, field: string): ReturnType<typeof problem> {
  const members = problem(answer, 400, 'invalid-request');
  expect(members['field'], String(members['detail'])).toBe(field);
  expect(members['detail']).toContain(field);
  return members;
}

let made = 0;

/** A bucket that no other test uses, with the defaults. */
export function freshBucket(): string {
  made += 1;
  return `bucket-${made}`;
}

/** A bucket that no other test uses, defined like this. */
export async function definedBucket(properties: Readonly<Record<string, unknown>>): Promise<string> {
  const bucket = freshBucket();
  const answer = await defineBucket(bucket, properties);
  expect(answer.status, answer.body.toString()).toBe(200);
  return bucket;
}

export function defineBucket(bucket: string, properties: unknown, at: Name = 'n1'): Promise<Answer> {
  const headers = { 'content-type': 'application/json' };
  return put(`/v1/buckets/${bucket}`, JSON.stringify(properties), { headers, at });
}

let siblings: Promise<string> | undefined;
let keys = 0;

/** The target of a key that no other test uses, in a bucket that keeps siblings. */
export async function siblingsKey(): Promise<string> {
  const bucket = await (siblings ??= definedBucket({ conflicts: 'siblings' }));
  return freshKey(bucket);
}

/** The target of a key that no other test uses, in a bucket where the later write wins. */
export function freshKey(bucket = 'plain'): string {
  keys += 1;
  return `/v1/kv/${bucket}/key-${keys}`;
}

/** Puts two or more values that have not seen each other, through different nodes. */
export async function makeSiblings(target: string, ...values: readonly string[]): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (const [index, value] of values.entries()) {
    const answer = await put(target, value, {
      at: NAMES[index % NAMES.length],
      headers: { 'content-type': 'text/plain' },
    });
    expect(answer.status, answer.body.toString()).toBe(204);
    answers.push(answer);
  }
  return answers;
}
