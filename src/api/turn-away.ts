/**
 * The short way out for requests for keys at a node that has too much to do. In a storm most requests go this way, so what a
 * refusal costs decides how much of the node is left for the others: nothing is looked at but the request line and the
 * names of the header fields, and the answer is there already. Whatever needs more (a line in the access log, a page of
 * another origin, a connection that ends) takes the usual way, where it is refused as well, by the same bound.
 */

import { STATUS_CODES } from 'node:http';
import type { Admission } from './admission.ts';
import type { Answer } from './exchange.ts';
import { LastDate } from './http-date.ts';
import { Problem, problemAnswer } from './problem.ts';
import type { RequestFigures } from './request-figures.ts';
import type { ApiSettings } from './services.ts';
import { REQUEST_ID, type WholeRequest } from './whole-request.ts';

export const OVERLOADED = 'too many requests are under way';

/** What Node's parser knows of a request. */
export interface RequestHead {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
}

export interface Refusal {
  readonly status: number;
  /** Names and values in turn, as Node's HTTP server takes them with the least work. */
  readonly headers: string[];
  readonly body: string;
}

export interface TurnAwayOptions {
  readonly admission: Pick<Admission, 'hasRoom' | 'isCrowded' | 'refused' | 'refusesTooMuch'>;
  readonly figures: Pick<RequestFigures, 'count'>;
  readonly newRequestId: () => string;
  readonly settings: Pick<ApiSettings, 'accessLog' | 'corsOrigins'>;
}

interface Prepared {
  readonly answer: Answer;
  readonly headers: readonly string[];
  /** The status line and the same header fields. */
  readonly text: string;
  readonly body: string;
}

const READ = prepare(new Problem('overloaded', OVERLOADED));
const WRITE = prepare(new Problem('overloaded', OVERLOADED, { outcome: 'not-applied' }));
/** There may have been an earlier attempt, of which nothing is known here. */
const REPEATABLE_WRITE = prepare(new Problem('overloaded', OVERLOADED, { outcome: 'unknown' }));

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE']);
const FAMILIES = ['/v1/kv/', '/v1/kv64/'] as const;

export class TurnAway {
  readonly #options: TurnAwayOptions;
  readonly #isUsed: boolean;
  readonly #date = new LastDate();

  constructor(options: TurnAwayOptions) {
    this.#options = options;
    this.#isUsed = options.settings.accessLog !== 'all' && options.settings.corsOrigins.length === 0;
  }

  /** The answer to a request that is sent away at once, which is counted herewith; undefined for every other. */
  refusal({ method = '', url = '', httpVersion, rawHeaders }: RequestHead): Refusal | undefined {
    const { admission, figures, newRequestId } = this.#options;
    if (!this.#isUsed || admission.hasRoom(true) || httpVersion !== '1.1' || !METHODS.has(method)) return undefined;
    const route = routeOf(url);
    if (route === undefined) return undefined;
    let requestId: string | undefined;
    let isRepeatable = false;
    for (let i = 0; i < rawHeaders.length; i += 2) {
      // The lengths of the names that count are rare enough.
      switch (rawHeaders[i]!.length) {
        case 10:
          if (rawHeaders[i]!.toLowerCase() !== 'connection') break;
          if (rawHeaders[i + 1]!.toLowerCase() !== 'keep-alive') return undefined;
          break;
        case 12:
          if (rawHeaders[i]!.toLowerCase() !== 'x-request-id') break;
          if (requestId !== undefined || !REQUEST_ID.test(rawHeaders[i + 1]!)) return undefined;
          requestId = rawHeaders[i + 1]!;
          break;
        case 15:
          isRepeatable ||= rawHeaders[i]!.toLowerCase() === 'idempotency-key';
          break;
        default:
          break;
      }
    }
    const { answer, headers, body } = preparedFor(method, isRepeatable);
    figures.count(route, method, answer, 0);
    admission.refused();
    return { status: answer.status, headers: [...headers, requestId ?? newRequestId()], body };
  }

  /** Whether it may be worth while to look at a request ahead of the parser. */
  get isNeeded(): boolean {
    return this.#isUsed && this.#options.admission.isCrowded;
  }

  /** Whether who was turned away should be kept from repeating it at once. */
  get isTooMuch(): boolean {
    return this.#options.admission.refusesTooMuch;
  }

  /**
   * The same for a request that no parser has seen: all of the answer, `more` among its header fields, a character for each byte.
   * `wall`: milliseconds since 1970.
   */
  answerTo(
    { method, url, fields: { requestId, isRepeatable } }: WholeRequest,
    wall: number,
    more: string,
  ): string | undefined {
    const { admission, figures, newRequestId } = this.#options;
    if (admission.hasRoom(true)) return undefined;
    const route = routeOf(url);
    if (route === undefined) return undefined;
    const { answer, text, body } = preparedFor(method, isRepeatable);
    figures.count(route, method, answer, 0);
    admission.refused();
    const head = `${text}${requestId ?? newRequestId()}\r\nDate: ${this.#date.text(wall)}\r\n${more}\r\n`;
    return method === 'HEAD' ? head : head + body;
  }
}

/** Ends with the name of the field whose value is still missing. */
function prepare(problem: Problem): Prepared {
  const answer = problemAnswer(problem);
  const body = answer.body as string;
  const fields = {
    ...answer.headers,
    'content-length': String(Buffer.byteLength(body)),
    'server-timing': 'total;dur=0.00',
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const text = `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]!}\r\n${lines.join('')}x-request-id: `;
  return { answer, headers: [...Object.entries(fields).flat(), 'x-request-id'], text, body };
}

function preparedFor(method: string, isRepeatable: boolean): Prepared {
  if (method === 'GET' || method === 'HEAD') return READ;
  return isRepeatable ? REPEATABLE_WRITE : WRITE;
}

/** For the figures; malformed targets are found out on the usual way. */
function routeOf(url: string): string | undefined {
  for (const family of FAMILIES) {
    if (!url.startsWith(family)) continue;
    const slash = url.indexOf('/', family.length);
    if (slash > family.length && slash < url.length - 1) return `${family}:bucket/:key`;
  }
  return undefined;
}
