/**
 * The story of one operation: choose a node, ask it, and when that fails judge whether, when and where to ask again, until
 * there is an answer or the operation's time is over.
 *
 * Every attempt of a write shows the same `Idempotency-Key`, so that the cluster makes one version of all of them. What the
 * caller is told in the end holds for all attempts: once one of them may have been applied, the outcome is unknown.
 */

import { problemError, QuoralError } from './errors.ts';
import type { NodeEntry, Nodes } from './nodes.ts';
import { nextPause, RetryBudget, type RetrySettings } from './retry.ts';
import { pause, type Runtime } from './runtime.ts';

export interface Call {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** From the slash after the host on, without the query. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Uint8Array | string | undefined;
  /** Statuses that are an answer; all others are errors. */
  readonly expected: readonly number[];
  /**
   * A header that every node's answer of these statuses bears. Without it something else has answered, a proxy or a page that asks to log
   * in, whose 404 does not say that there is nothing, and whose 204 does not say that anything was stored.
   */
  readonly bears?: string | undefined;
  /**
   * Whether it is to change something, so that an error has to say whether it has. It goes nowhere but where it was sent: of a POST,
   * `fetch` makes a GET when it is redirected, and what that shows would be taken for what was done.
   */
  readonly changes: boolean;
  /** Whether it may arrive twice without a difference. */
  readonly repeatable: boolean;
  /** The nodes to ask first. */
  readonly owners?: readonly string[] | undefined;
  /** Milliseconds for the operation with all its attempts; the client's own when it is not given. */
  readonly timeoutMs?: number | undefined;
  /** Whether the node is told in the query how long it may take. */
  readonly tellsTimeout?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The instant from which its time counts; that at which it is sent when it is not given. */
  readonly since?: number | undefined;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** The id of the node that answered, where it is known. */
  readonly node: string | undefined;
}

export interface TransportSettings {
  readonly token: string | undefined;
  readonly timeoutMs: number;
  /** Milliseconds for one attempt; a node that hangs costs this much. */
  readonly attemptMs: number;
  readonly retry: RetrySettings;
}

/** How much longer than it was given a node may take to say that it has run out of time. */
const GRACE_MS = 500;
/** The longest that a node may be given. */
const TIMEOUT_MAX_MS = 60_000;

export class Transport {
  readonly nodes: Nodes;
  readonly runtime: Runtime;
  readonly #settings: TransportSettings;
  readonly #budget: RetryBudget;

  constructor(nodes: Nodes, runtime: Runtime, settings: TransportSettings) {
    this.nodes = nodes;
    this.runtime = runtime;
    this.#settings = settings;
    this.#budget = new RetryBudget(settings.retry);
  }

  /** Milliseconds that the operation has, with all its attempts. */
  timeOf({ timeoutMs }: Pick<Call, 'timeoutMs'>): number {
    return timeoutMs ?? this.#settings.timeoutMs;
  }

  /** The answer, or a {@link QuoralError}. */
  async send(call: Call): Promise<Reply> {
    return this.#attempts(call, async (node, left) => {
      const attempt = new Attempt(this.runtime, this.#attemptMs(left, call) + GRACE_MS, call.signal);
      try {
        const response = await this.#ask(node, call, left, attempt.signal);
        const body = new Uint8Array(await response.arrayBuffer());
        if (!call.expected.includes(response.status)) throw refusal(response, decode(body), call);
        if (call.bears !== undefined && !response.headers.has(call.bears))
          throw noNode(response, node, call.bears, call);
        return { status: response.status, headers: response.headers, body, node: node.id };
      } catch (error) {
        throw attempt.explain(error, call, node);
      } finally {
        attempt.end();
      }
    });
  }

  /** The head of an answer whose body comes bit by bit; the time is for the head alone. */
  async open(call: Call): Promise<Response> {
    return this.#attempts(call, async (node, left) => {
      const attempt = new Attempt(this.runtime, this.#attemptMs(left, call) + GRACE_MS, call.signal);
      try {
        const response = await this.#ask(node, call, left, attempt.signal);
        if (!call.expected.includes(response.status)) throw refusal(response, await response.text(), call);
        return response;
      } catch (error) {
        attempt.end();
        throw attempt.explain(error, call, node);
      } finally {
        attempt.keepSignal();
      }
    });
  }

  async #attempts<T>(call: Call, ask: (node: NodeEntry, leftMs: number) => Promise<T>): Promise<T> {
    const { nodes, runtime } = this;
    const end = (call.since ?? runtime.now()) + this.timeOf(call);
    const tried = new Set<NodeEntry>();
    let uncertain = false;
    if (hasGivenUp(call)) {
      throw new QuoralError('aborted', 'the caller had given up', call.changes ? { outcome: 'not-applied' } : {});
    }
    requireHeaders(this.#headersOf(call), call);
    this.#budget.earn();
    for (let attempts = 1; ; attempts++) {
      const node = nodes.choose(call.owners ?? [], tried, runtime.now());
      tried.add(node);
      try {
        const answer = await ask(node, end - runtime.now());
        nodes.works(node);
        return answer;
      } catch (caught) {
        if (!(caught instanceof QuoralError)) throw caught;
        this.#note(node, caught);
        uncertain ||= caught.outcome === 'unknown';
        const facts = { attempts, url: node.url, ...(uncertain ? { outcome: 'unknown' as const } : {}) };
        const error = caught.with(facts);
        const { repeatable } = call;
        const situation = { attempts, repeatable, others: nodes.hasOthers(tried), leftMs: end - runtime.now() };
        const wait = nextPause(caught, situation, this.#settings.retry, this.#budget, () => runtime.random());
        if (wait === undefined || hasGivenUp(call)) throw error;
        if (!situation.others) tried.clear();
        await pause(runtime, wait, call.signal);
        if (hasGivenUp(call)) throw error;
      }
    }
  }

  #note(node: NodeEntry, { code }: QuoralError): void {
    const down = code === 'unreachable' || code === 'timed-out' || code === 'not-ready' || code === 'bad-answer';
    if (down) this.nodes.failed(node, this.runtime.now(), () => this.runtime.random());
    else if (code !== 'aborted') this.nodes.works(node);
  }

  #attemptMs(leftMs: number, { timeoutMs }: Call): number {
    // Whoever gives a request more time than an attempt has means it: one attempt may then take all of it.
    const limit = timeoutMs === undefined ? this.#settings.attemptMs : Math.max(this.#settings.attemptMs, timeoutMs);
    return Math.max(1, Math.min(limit, leftMs, TIMEOUT_MAX_MS));
  }

  #headersOf({ headers }: Call): Record<string, string> {
    const { token } = this.#settings;
    return token === undefined ? { ...headers } : { ...headers, authorization: `Bearer ${token}` };
  }

  async #ask(node: NodeEntry, call: Call, leftMs: number, signal: AbortSignal): Promise<Response> {
    const timeout = call.tellsTimeout === true ? Math.ceil(this.#attemptMs(leftMs, call)) : undefined;
    const asked = queryText({ ...call.query, ...(timeout === undefined ? {} : { timeout }) });
    const headers = this.#headersOf(call);
    return this.runtime.fetch(`${node.url}${call.path}${asked === '' ? '' : `?${asked}`}`, {
      method: call.method,
      headers,
      signal,
      cache: 'no-store',
      redirect: call.changes ? 'manual' : 'follow',
      ...(call.body === undefined ? {} : { body: call.body as Uint8Array<ArrayBuffer> | string }),
    });
  }
}

/** Not by URLSearchParams: it writes a space as a plus, and to a node a plus is a plus. */
function queryText(query: NonNullable<Call['query']>): string {
  return Object.entries(query)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`]))
    .join('&');
}

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** What HTTP does not allow in a header (RFC 9110 section 5) would look like a node that cannot be reached. */
function requireHeaders(headers: Readonly<Record<string, string>>, { changes }: Call): void {
  for (const name in headers) {
    if (HEADER_NAME.test(name) && HEADER_VALUE.test(headers[name]!)) continue;
    const facts = { field: name, ...(changes ? { outcome: 'not-applied' as const } : {}) };
    const detail = `${JSON.stringify(name)} cannot be a header, or its value cannot: visible characters up to U+00FF`;
    throw new QuoralError('invalid-request', detail, facts);
  }
}

function hasGivenUp({ signal }: Call): boolean {
  return signal?.aborted ?? false;
}

/** One attempt's time, and the caller's wish to stop. */
class Attempt {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #cancel: () => void;
  readonly #abort = (): void => this.#controller.abort();
  #late = false;

  constructor(runtime: Runtime, milliseconds: number, outer: AbortSignal | undefined) {
    this.#outer = outer;
    if (outer?.aborted === true) this.#controller.abort();
    outer?.addEventListener('abort', this.#abort);
    this.#cancel = runtime.after(milliseconds, () => {
      this.#late = true;
      this.#controller.abort();
    });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The head is there: from now on only the caller's signal counts. */
  keepSignal(): void {
    this.#cancel();
  }

  end(): void {
    this.#cancel();
    this.#outer?.removeEventListener('abort', this.#abort);
  }

  explain(error: unknown, call: Call, node: NodeEntry): QuoralError {
    if (error instanceof QuoralError) return error;
    const facts = call.changes ? { outcome: neverSent(error) ? ('not-applied' as const) : ('unknown' as const) } : {};
    if (this.#outer?.aborted === true) return new QuoralError('aborted', 'the caller has given up', facts, error);
    if (this.#late) return new QuoralError('timed-out', `${node.url} has not answered in time`, facts, error);
    return new QuoralError('unreachable', `no answer from ${node.url}: ${reasonOf(error)}`, facts, error);
  }
}

/** Failures before a connection was there. Browsers do not tell; then it is not known. */
const BEFORE_CONNECTING: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

export function neverSent(error: unknown): boolean {
  return BEFORE_CONNECTING.has(codeOf(error)) || BEFORE_CONNECTING.has(codeOf(causeOf(error)));
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}

function reasonOf(error: unknown): string {
  const cause = causeOf(error);
  if (cause instanceof Error) return cause.message || codeOf(cause);
  return error instanceof Error ? error.message : String(error);
}

function refusal(response: Response, body: string, call: Call): QuoralError {
  const { status, headers, type } = response;
  const redirects = type === 'opaqueredirect' || (status > 300 && status < 400 && headers.has('location'));
  if (!redirects || !call.changes) return problemError(status, body, headers, call.changes);
  const where = headers.get('location') ?? 'elsewhere';
  return new QuoralError('bad-answer', `redirected to ${where}: give the address that nodes answer at`, {
    status,
    outcome: 'unknown',
  });
}

function noNode(
  { status, redirected, url }: Response,
  { url: at }: NodeEntry,
  header: string,
  { changes }: Call,
): QuoralError {
  const where = redirected ? `, redirected to ${url}` : '';
  const facts = { status, ...(changes ? { outcome: 'unknown' as const } : {}) };
  return new QuoralError('bad-answer', `${at}: ${status} without ${header} is no node's answer${where}`, facts);
}

function decode(body: Uint8Array): string {
  return new TextDecoder().decode(body);
}
