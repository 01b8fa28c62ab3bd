/**
 * Every path there is, with its methods.
 */

import type { Right } from '#access/scope.ts';
import { performBatch } from './batch-routes.ts';
import { defineBucket, dropBucket, listBuckets, showBucket } from './bucket-routes.ts';
import { explainKey, locateKey, showCluster, showRing } from './cluster-routes.ts';
import { documentHandlers } from './document/serve.ts';
import type { Answer, Exchange } from './exchange.ts';
import { forceRing } from './force-route.ts';
import { showHealthy, showLive, showMetrics, showReady } from './health-routes.ts';
import { forceKey, showKeyForce } from './key-force-routes.ts';
import { deleteValue, getValue, operateValue, putValue } from './key-value.ts';
import { listKeys } from './list-keys.ts';
import { acquireLease, releaseLease, showLease } from './lease-routes.ts';
import { applyPlan, makePlan, showTransfers, steer } from './plan-routes.ts';
import { Problem, problemAnswer } from './problem.ts';
import { parseQuery } from './query.ts';
import { beginRepair, showRepair } from './repair-routes.ts';
import { watchBucket } from './watch-bucket.ts';
import { createToken, listTokens, revokeToken } from './token-routes.ts';
import { uiHandler } from './ui-page.ts';

export type Handler = (exchange: Exchange) => Answer | Promise<Answer>;

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

/**
 * What a client must be allowed, where tokens are asked for.
 * - `read`, `write`, `admin`: that right on the bucket of the path, or on all buckets when the path has none.
 * - `concern`: any right on the bucket of the path.
 * - `token`: nothing but a valid token. What a handler shows by that is narrowed by the handler.
 * - `figures`: a valid token, unless `metrics-open` says that nobody needs one.
 * - `open`: nothing; for what holds no data.
 */
export type Need = Right | 'concern' | 'token' | 'figures' | 'open';

export interface Route {
  /** In hono's notation. Segments are matched raw. */
  readonly path: string;
  /** HEAD goes wherever GET does. */
  readonly methods: Readonly<Partial<Record<Method, readonly [need: Need, handler: Handler]>>>;
  /**
   * - `data`: needs a node that is ready to serve, and counts against the bound of requests under way.
   * - `work`: counts against that bound.
   * - `watch`: is answered whatever the state of the node.
   */
  readonly kind: 'data' | 'work' | 'watch';
  /** Its handlers look at `If-Match` and `If-None-Match`. */
  readonly keepsConditions?: boolean;
}

/** What the path does for a method, whatever the method is called. */
export function methodAt({ methods }: Route, method: string): readonly [need: Need, handler: Handler] | undefined {
  switch (method) {
    case 'GET':
    case 'HEAD':
      return methods.GET;
    case 'PUT':
    case 'POST':
    case 'DELETE':
      return methods[method];
    default:
      return undefined;
  }
}

/** For paths that no query parameter means anything to. */
function plain(handler: Handler): Handler {
  return async (exchange) => {
    const query = parseQuery(exchange.target.query, []);
    return query instanceof Problem ? problemAnswer(query) : handler(exchange);
  };
}

const KEY: Route['methods'] = {
  GET: ['read', getValue],
  PUT: ['write', putValue],
  DELETE: ['write', deleteValue],
  POST: ['write', operateValue],
};

const LEASE: Route['methods'] = {
  GET: ['read', showLease],
  POST: ['write', acquireLease],
  DELETE: ['write', releaseLease],
};

const BUCKET: Route['methods'] = {
  GET: ['concern', showBucket],
  PUT: ['admin', defineBucket],
  DELETE: ['admin', dropBucket],
};

const FORCE_KEY: Route['methods'] = {
  GET: ['admin', plain(showKeyForce)],
  POST: ['admin', plain(forceKey)],
};

const LOCATE: Route['methods'] = { GET: ['concern', plain(locateKey)] };
const EXPLAIN: Route['methods'] = { GET: ['read', plain(explainKey)] };

const { showDocument, showPage } = documentHandlers(() => ROUTES);

export const ROUTES: readonly Route[] = [
  { path: '/v1/kv/:bucket/:key', methods: KEY, kind: 'data', keepsConditions: true },
  { path: '/v1/kv64/:bucket/:key', methods: KEY, kind: 'data', keepsConditions: true },
  { path: '/v1/kv/:bucket', methods: { GET: ['read', listKeys] }, kind: 'data' },
  { path: '/v1/watch/:bucket', methods: { GET: ['read', watchBucket] }, kind: 'data' },
  // Each operation is judged by itself, and has conditions of its own.
  { path: '/v1/batch', methods: { POST: ['token', performBatch] }, kind: 'data', keepsConditions: true },
  { path: '/v1/buckets', methods: { GET: ['token', plain(listBuckets)] }, kind: 'data' },
  { path: '/v1/buckets/:bucket', methods: BUCKET, kind: 'data' },
  { path: '/v1/leases/:bucket/:key', methods: LEASE, kind: 'data' },
  { path: '/v1/leases64/:bucket/:key', methods: LEASE, kind: 'data' },
  { path: '/v1/tokens', methods: { GET: ['admin', plain(listTokens)], POST: ['admin', createToken] }, kind: 'data' },
  { path: '/v1/tokens/:name', methods: { DELETE: ['admin', revokeToken] }, kind: 'data' },
  { path: '/v1/cluster', methods: { GET: ['token', plain(showCluster)] }, kind: 'work' },
  { path: '/v1/ring', methods: { GET: ['token', plain(showRing)] }, kind: 'data', keepsConditions: true },
  { path: '/v1/ring/locate/:bucket/:key', methods: LOCATE, kind: 'data' },
  { path: '/v1/ring/locate64/:bucket/:key', methods: LOCATE, kind: 'data' },
  { path: '/v1/explain/:bucket/:key', methods: EXPLAIN, kind: 'data' },
  { path: '/v1/explain64/:bucket/:key', methods: EXPLAIN, kind: 'data' },
  {
    path: '/v1/ring/repair',
    methods: { GET: ['admin', plain(showRepair)], POST: ['admin', plain(beginRepair)] },
    kind: 'data',
  },
  { path: '/v1/ring/force', methods: { POST: ['admin', plain(forceRing)] }, kind: 'work' },
  { path: '/v1/ring/force/:bucket/:key', methods: FORCE_KEY, kind: 'data' },
  { path: '/v1/ring/force64/:bucket/:key', methods: FORCE_KEY, kind: 'data' },
  { path: '/v1/ring/plans', methods: { POST: ['admin', plain(makePlan)] }, kind: 'data' },
  { path: '/v1/ring/plans/:id/apply', methods: { POST: ['admin', plain(applyPlan)] }, kind: 'data' },
  { path: '/v1/ring/transfers', methods: { GET: ['admin', plain(showTransfers)] }, kind: 'work' },
  { path: '/v1/ring/transfers/pause', methods: { POST: ['admin', plain(steer('paused'))] }, kind: 'data' },
  { path: '/v1/ring/transfers/resume', methods: { POST: ['admin', plain(steer('running'))] }, kind: 'data' },
  { path: '/v1/ring/transfers/abort', methods: { POST: ['admin', plain(steer('aborting'))] }, kind: 'data' },
  { path: '/livez', methods: { GET: ['open', plain(showLive)] }, kind: 'watch' },
  { path: '/readyz', methods: { GET: ['open', plain(showReady)] }, kind: 'watch' },
  { path: '/healthz', methods: { GET: ['figures', plain(showHealthy)] }, kind: 'watch' },
  { path: '/metrics', methods: { GET: ['figures', plain(showMetrics)] }, kind: 'watch' },
  { path: '/openapi.json', methods: { GET: ['open', plain(showDocument)] }, kind: 'watch', keepsConditions: true },
  { path: '/docs', methods: { GET: ['open', plain(showPage)] }, kind: 'watch', keepsConditions: true },
  { path: '/ui/', methods: { GET: ['open', plain(uiHandler())] }, kind: 'watch' },
];
