/**
 * Every path there is, with its methods. What the contract names and is not built yet stands here too and answers 501.
 */

import { defineBucket, dropBucket, listBuckets, showBucket } from './bucket-routes.ts';
import { locateKey, showCluster, showRing } from './cluster-routes.ts';
import type { Answer, Exchange } from './exchange.ts';
import { showHealthy, showLive, showMetrics, showReady } from './health-routes.ts';
import { deleteValue, getValue, putValue } from './key-value.ts';
import { unbuilt } from './key-request.ts';
import { Problem, problemAnswer } from './problem.ts';
import { parseQuery } from './query.ts';

export type Handler = (exchange: Exchange) => Promise<Answer>;

export interface Route {
  /** In hono's notation. Segments are matched raw. */
  readonly path: string;
  /** HEAD goes wherever GET does. */
  readonly methods: Readonly<Partial<Record<'GET' | 'PUT' | 'POST' | 'DELETE', Handler>>>;
  /**
   * - `data`: needs a node that is ready to serve, and counts against the bound of requests under way.
   * - `work`: counts against that bound.
   * - `watch`: is answered whatever the state of the node.
   */
  readonly kind: 'data' | 'work' | 'watch';
}

/** For paths that no query parameter means anything to. */
function plain(handler: Handler): Handler {
  return async (exchange) => {
    const query = parseQuery(exchange.target.query, []);
    return query instanceof Problem ? problemAnswer(query) : handler(exchange);
  };
}

function notBuilt(what: string): Handler {
  return async () => problemAnswer(unbuilt('path', what));
}

const KEY: Route['methods'] = {
  GET: getValue,
  PUT: putValue,
  DELETE: deleteValue,
  POST: notBuilt('operations on data types'),
};

export const ROUTES: readonly Route[] = [
  { path: '/v1/kv/:bucket/:key', methods: KEY, kind: 'data' },
  { path: '/v1/kv64/:bucket/:key', methods: KEY, kind: 'data' },
  { path: '/v1/kv/:bucket', methods: { GET: notBuilt('listings of keys') }, kind: 'data' },
  { path: '/v1/watch/:bucket', methods: { GET: notBuilt('watches') }, kind: 'data' },
  { path: '/v1/batch', methods: { POST: notBuilt('batches') }, kind: 'data' },
  { path: '/v1/buckets', methods: { GET: plain(listBuckets) }, kind: 'data' },
  { path: '/v1/buckets/:bucket', methods: { GET: showBucket, PUT: defineBucket, DELETE: dropBucket }, kind: 'data' },
  { path: '/v1/cluster', methods: { GET: plain(showCluster) }, kind: 'work' },
  { path: '/v1/ring', methods: { GET: plain(showRing) }, kind: 'data' },
  { path: '/v1/ring/locate/:bucket/:key', methods: { GET: plain(locateKey) }, kind: 'data' },
  { path: '/v1/explain/:bucket/:key', methods: { GET: notBuilt('explanations of keys') }, kind: 'work' },
  { path: '/v1/ring/plans', methods: { POST: notBuilt('plans of ring changes') }, kind: 'work' },
  { path: '/v1/ring/plans/:id/apply', methods: { POST: notBuilt('ring changes') }, kind: 'work' },
  { path: '/v1/ring/transfers', methods: { GET: notBuilt('transfers') }, kind: 'work' },
  { path: '/livez', methods: { GET: plain(showLive) }, kind: 'watch' },
  { path: '/readyz', methods: { GET: plain(showReady) }, kind: 'watch' },
  { path: '/healthz', methods: { GET: plain(showHealthy) }, kind: 'watch' },
  { path: '/metrics', methods: { GET: plain(showMetrics) }, kind: 'watch' },
  { path: '/openapi.json', methods: { GET: notBuilt('descriptions of the API') }, kind: 'watch' },
  { path: '/docs', methods: { GET: notBuilt('pages of documentation') }, kind: 'watch' },
  { path: '/ui/', methods: { GET: notBuilt('pages for people') }, kind: 'watch' },
];
