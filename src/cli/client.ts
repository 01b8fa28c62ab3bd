/**
 * The verbs' way to a node: one HTTP request, and what went wrong in one line.
 */

import { readFileSync } from 'node:fs';
import { request as undiciRequest } from 'undici';
import { toBase64url } from '#kernel/base64.ts';
import { utf8 } from '#kernel/bytes.ts';
import { neverSent } from '#client/transport.ts';
import { dispatcherFor, hintFor, type TlsOptions } from './client-tls.ts';
import { EXIT, UsageError } from './output.ts';

export interface ClientOptions extends TlsOptions {
  /** Of one node, or of several with commas. */
  readonly url: string;
  readonly json?: boolean;
  readonly token?: string;
  readonly tokenFile?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
}

interface Asked {
  readonly method?: 'GET' | 'PUT' | 'DELETE' | 'POST';
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array | string;
  /** False for what is no GET and changes nothing all the same. */
  readonly changes?: boolean;
  /** Milliseconds for an answer, where others can be asked as well. */
  readonly patience?: number;
}

/** Longer than the longest `timeout` that a request may have. */
const PATIENCE_MS = 65_000;

/** Any key can be written in this form; in a path some HTTP clients rewrite it. */
export function keyPath(
  family: 'kv64' | 'explain64' | 'ring/locate64' | 'ring/force64',
  bucket: string,
  key: string,
): string {
  return `/v1/${family}/${encodeURIComponent(bucket)}/${toBase64url(utf8(key))}`;
}

/** A file that is named wins over a token of the environment. */
export function tokenOf({ token, tokenFile }: ClientOptions): string | undefined {
  const shown = tokenFile === undefined ? token : readTokenFile(tokenFile);
  return shown === '' ? undefined : shown;
}

function authorization(options: ClientOptions): Record<string, string> {
  const token = tokenOf(options);
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

function readTokenFile(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new UsageError(`--token-file ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function originOf(given: string): string {
  const url = given.trim();
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url.replace(/\/+$/, '');
  throw new UsageError(`--url or QUORAL_URL ${JSON.stringify(url)}: must be http://host:port or https://host:port`);
}

/**
 * Asks the first node that answers. Throws {@link UsageError} when none does; of a change that may have reached one nobody knows
 * then whether it was made, so no other is asked for it.
 */
export async function ask(options: ClientOptions, path: string, asked: Asked = {}): Promise<Answer> {
  const failures: string[] = [];
  for (const origin of options.url.split(',').map(originOf)) {
    try {
      return await askOne(options, origin, path, asked);
    } catch (error) {
      if (!(error instanceof UsageError) || error.exitStatus !== EXIT.unreachable) throw error;
      failures.push(error.message);
    }
  }
  throw new UsageError(failures.join('; '), EXIT.unreachable);
}

async function askOne(options: ClientOptions, origin: string, path: string, asked: Asked): Promise<Answer> {
  const url = origin + path;
  const headers = { 'user-agent': 'quoral', ...authorization(options), ...asked.headers };
  const dispatcher = dispatcherFor(options);
  const { patience = PATIENCE_MS, method = 'GET', changes = method !== 'GET' } = asked;
  try {
    const response = await undiciRequest(url, {
      method,
      headersTimeout: patience,
      bodyTimeout: patience,
      ...(dispatcher === undefined ? {} : { dispatcher }),
      headers,
      ...(asked.body === undefined ? {} : { body: asked.body }),
    });
    return {
      status: response.statusCode,
      headers: response.headers,
      body: new Uint8Array(await response.body.arrayBuffer()),
    };
  } catch (error) {
    const told = `no answer from ${origin}: ${reasonOf(error)}${hintFor(error)}`;
    if (!changes || neverSent(error)) throw new UsageError(told, EXIT.unreachable);
    throw new UsageError(`${told} (outcome: unknown)`, EXIT.unknown);
  } finally {
    await dispatcher?.close();
  }
}

/** A name with several addresses fails with an empty message and all the reasons inside. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') {
    return error.errors.map((one) => (one instanceof Error ? one.message : String(one))).join(', ');
  }
  return error instanceof Error ? error.message : String(error);
}

export function textOf(answer: Answer): string {
  return Buffer.from(answer.body).toString('utf8');
}

/** The answer as JSON; throws {@link UsageError} with the problem's words unless the status is one of those expected. */
export async function askJson(
  options: ClientOptions,
  path: string,
  asked: Asked = {},
  expected: readonly number[] = [200],
): Promise<unknown> {
  const answer = await ask(options, path, asked);
  expectStatus(answer, expected);
  return JSON.parse(textOf(answer)) as unknown;
}

export function expectStatus(answer: Answer, expected: readonly number[]): void {
  if (expected.includes(answer.status)) return;
  const { told, outcome } = problemOf(answer);
  const unknown = outcome === 'unknown' ? EXIT.unknown : EXIT.wrong;
  throw new UsageError(told, answer.status === 409 ? EXIT.conflict : unknown);
}

function problemOf(answer: Answer): { readonly told: string; readonly outcome?: string | undefined } {
  try {
    const { title, detail, outcome } = JSON.parse(textOf(answer)) as {
      title: string;
      detail: string;
      outcome?: string;
    };
    const told = `${answer.status} ${title}: ${detail}${outcome === undefined ? '' : ` (outcome: ${outcome})`}`;
    return { told, outcome };
  } catch {
    return { told: `${answer.status} from the node: ${textOf(answer).slice(0, 200)}` };
  }
}
