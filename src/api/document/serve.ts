/**
 * `/openapi.json` and `/docs`. Both are made when they are first asked for, and are the same for the life of the program.
 */

import { judge } from '#coordinator/preconditions.ts';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { parseConditions } from '#api/conditions.ts';
import type { Exchange } from '#api/exchange.ts';
import { Problem, problemAnswer } from '#api/problem.ts';
import type { Handler, Route } from '#api/routes.ts';
import { toBase64 } from '#kernel/base64.ts';
import { describeApi, type OpenApiDocument } from './openapi.ts';
import { pageOf } from './page.ts';
import { STYLE } from './page-style.ts';

interface Served {
  readonly tag: string;
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

export interface DocumentHandlers {
  readonly showDocument: Handler;
  readonly showPage: Handler;
}

/** `routes` is asked for later, as these handlers are among them. */
export function documentHandlers(routes: () => readonly Route[]): DocumentHandlers {
  let known: OpenApiDocument | undefined;
  const document = (): OpenApiDocument => (known ??= describeApi(routes()));
  return {
    showDocument: serving(
      () => `${JSON.stringify(document())}\n`,
      () => ({ 'content-type': 'application/json' }),
    ),
    showPage: serving(() => pageOf(document()), pageHeaders),
  };
}

/** Nothing is loaded and nothing runs; the one style is named by its digest. */
function pageHeaders({ services }: Exchange): Readonly<Record<string, string>> {
  const style = `'sha256-${toBase64(services.sha256(utf8(STYLE)))}'`;
  return {
    'content-type': 'text/html; charset=utf-8',
    'x-content-type-options': 'nosniff',
    'content-security-policy': `default-src 'none'; style-src ${style}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  };
}

function serving(make: () => string, headersOf: (exchange: Exchange) => Readonly<Record<string, string>>): Handler {
  let served: Served | undefined;
  return async (exchange) => {
    const conditions = parseConditions(exchange.incoming);
    if (conditions instanceof Problem) return problemAnswer(conditions);
    served ??= madeOf(make(), headersOf(exchange), exchange);
    const { tag, body, headers } = served;
    const fresh = { etag: `"${tag}"`, 'cache-control': 'no-cache' };
    switch (conditions === undefined ? 'proceed' : judge(conditions, tag)) {
      case 'proceed':
        return { status: 200, headers: { ...headers, ...fresh }, body };
      case 'not-modified':
        return { status: 304, headers: fresh, body: null };
      case 'failed':
        return problemAnswer(new Problem('precondition-failed', 'the description has another ETag'), fresh);
    }
  };
}

function madeOf(text: string, headers: Served['headers'], { services }: Exchange): Served {
  const body = utf8(text);
  return { tag: toHex(services.sha256(body).subarray(0, 8)), body, headers };
}
