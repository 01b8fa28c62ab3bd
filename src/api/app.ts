/**
 * The routes in hono, by the raw path. The same app serves sockets (server.ts) and calls within the process. Nearly all requests
 * are for one key, so those have a way of their own past the router and the web's requests and responses.
 */

import { Hono } from 'hono';
import { present } from '#kernel/assert.ts';
import { utf8 } from '#kernel/bytes.ts';
import type { Answer, Incoming, Streamed } from './exchange.ts';
import { Problem } from './problem.ts';
import type { Target } from './raw-path.ts';
import { Reception } from './reception.ts';
import { ROUTES, type Route } from './routes.ts';
import type { ApiServices } from './services.ts';
import type { TurnAway } from './turn-away.ts';

export interface Environment {
  readonly Bindings: { readonly incoming: Incoming };
}

export interface Api {
  /** Any request, through hono. */
  readonly fetch: Hono<Environment>['fetch'];
  /** The answer to a request for one key, or to one that is malformed, without hono; undefined when it is for anything else. */
  readonly answerDirectly: (incoming: Incoming) => Promise<Answer> | undefined;
  /** The short way out, before a request is looked at. */
  readonly turnAway: TurnAway;
  /** For an answer to what is no request. */
  readonly newRequestId: () => string;
}

/** What no route has: where requests go whose target is malformed. */
const NOWHERE = '*';

export function createApp(services: ApiServices): Api {
  const reception = new Reception(services);
  const app = new Hono<Environment>({ getPath: (_request, options) => rawPath(options?.env) });
  const answer = async (incoming: Incoming, route: Route | undefined): Promise<Response> =>
    toResponse(await reception.respond(incoming, route), incoming.method);
  // One handler for all methods of a path: hono then calls it directly, and the reception knows what is allowed there.
  for (const route of ROUTES) app.all(route.path, (context) => answer(context.env.incoming, route));
  app.notFound((context) => answer(context.env.incoming, undefined));
  const answerDirectly = (incoming: Incoming): Promise<Answer> | undefined => {
    const { target } = incoming;
    if (target instanceof Problem) return reception.respond(incoming, undefined);
    const route = keyRouteOf(target);
    return route === undefined ? undefined : reception.respond(incoming, route);
  };
  return {
    fetch: app.fetch,
    answerDirectly,
    turnAway: reception.turnAway,
    newRequestId: () => reception.newRequestId(),
  };
}

const KEY_ROUTE = routeAt('/v1/kv/:bucket/:key');
const KEY64_ROUTE = routeAt('/v1/kv64/:bucket/:key');

function routeAt(path: string): Route {
  return present(
    ROUTES.find((route) => route.path === path),
    `a route ${path}`,
  );
}

/** What hono finds for these paths: no segment of a target that was read is empty but a last one behind a slash, at `/` and `/ui/`. */
function keyRouteOf(target: Target): Route | undefined {
  if (target.segments.length !== 4 || target.segments[0] !== 'v1') return undefined;
  const family = target.segments[1];
  return family === 'kv' ? KEY_ROUTE : family === 'kv64' ? KEY64_ROUTE : undefined;
}

function rawPath(bindings: unknown): string {
  const { target } = (bindings as Environment['Bindings']).incoming;
  return target instanceof Problem ? NOWHERE : target.path;
}

function toResponse({ status, headers, body }: Answer, method: string): Response {
  if (body !== null && typeof body === 'object' && 'next' in body) {
    if (method !== 'HEAD') return new Response(streamOf(body), { status, headers });
    body.ended();
    return new Response(null, { status, headers });
  }
  if (method !== 'HEAD' || body === null)
    return new Response(body as Uint8Array<ArrayBuffer> | string | null, { status, headers });
  headers['content-length'] = String(typeof body === 'string' ? utf8(body).length : body.length);
  return new Response(null, { status, headers });
}

/** A part is made when the one before has left for the client. */
function streamOf(body: Streamed): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const part = await body.next().catch((error: unknown) => {
          // Nobody cancels a stream that has failed by itself.
          body.ended();
          throw error;
        });
        if (part !== undefined) {
          controller.enqueue(utf8(part));
          return;
        }
        body.ended();
        controller.close();
      },
      cancel: () => body.ended(),
    },
    { highWaterMark: 0 },
  );
}
