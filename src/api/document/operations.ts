/**
 * What is said of every operation, by method and path of its route. A test holds this table and the routes together, and
 * another one drives every operation and compares what it answers with what is said here.
 */

import { FORCE_SCHEMA } from '#api/force-route.ts';
import { LEASE_PARAMETERS, LEASE_SCHEMA, RELEASE_PARAMETERS } from '#api/lease-routes.ts';
import { KEY_FORCE_SCHEMA } from '#api/key-force-routes.ts';
import { APPLY_SCHEMA, PLAN_SCHEMA, PAUSE_SCHEMA, STEER_SCHEMA } from '#api/plan-routes.ts';
import { REPAIR_SCHEMA } from '#api/repair-routes.ts';
import { TOKEN_PARAMETERS, TOKEN_SCHEMA } from '#api/token-routes.ts';
import { BUCKET_PARAMETERS } from '#api/bucket-routes.ts';
import type { ProblemCode } from '#api/problem.ts';
import type { Schema } from '#kernel/json-schema.ts';
import type { AnswerHeaderName } from './answer-headers.ts';
import { component, type ComponentName } from './components.ts';
import { keyOperations } from './key-operations.ts';
import { BATCH, LIST_KEYS, WATCH } from './many-keys.ts';
import { json, type Operation, type RequestBody, type Success } from './operation.ts';

const CACHE = ['Cache-Control'] as const;
const TOLD = ['Quoral-Replicas', 'Quoral-Coordinator'] as const;
const AGREED: readonly ProblemCode[] = ['quorum-unavailable', 'quorum-timeout'];

function shows(name: ComponentName, means: string, headers: readonly AnswerHeaderName[] = []): Success {
  return { means, headers: [...CACHE, ...headers], content: json(component(name)) };
}

function takes(schema: Schema, means: string, example: unknown): RequestBody {
  return { means, content: json(schema), example, required: true };
}

const KEY = keyOperations('');
const KEY64 = keyOperations('64');

const LEASE_PROBLEMS: Pick<Operation, 'problems' | 'problemHeaders'> = {
  problems: [...AGREED, 'overloaded'],
  problemHeaders: {
    'not-found': TOLD,
    conflict: TOLD,
    'quorum-unavailable': TOLD,
    'quorum-timeout': TOLD,
    overloaded: TOLD,
  },
};

/** What the same operation on a key in base64url is called. */
function leaseOperations(suffix: string): Readonly<Record<'GET' | 'POST' | 'DELETE', Operation>> {
  return {
    GET: {
      id: `showLease${suffix}`,
      tag: 'Leases',
      summary: 'Shows who holds the lease of a key',
      parameters: LEASE_PARAMETERS,
      answers: { 200: shows('Lease', 'The lease.', TOLD) },
      ...LEASE_PROBLEMS,
      problems: ['not-found', ...AGREED],
    },
    POST: {
      id: `acquireLease${suffix}`,
      tag: 'Leases',
      summary: 'Takes or renews the lease of a key',
      parameters: LEASE_PARAMETERS,
      body: takes(LEASE_SCHEMA, 'Who wants it and for how long.', { holder: 'worker-7', ttl: 30 }),
      answers: { 200: shows('Lease', "The lease is the holder's.", TOLD) },
      ...LEASE_PROBLEMS,
      problems: ['conflict', ...AGREED],
    },
    DELETE: {
      id: `releaseLease${suffix}`,
      tag: 'Leases',
      summary: 'Gives a lease back',
      parameters: RELEASE_PARAMETERS,
      needs: ['token'],
      answers: { 204: { means: 'Nobody holds the lease.', headers: TOLD } },
      ...LEASE_PROBLEMS,
      problems: ['conflict', ...AGREED],
    },
  };
}

const LEASE = leaseOperations('');
const LEASE64 = leaseOperations('64');

function forcing(suffix: string): Readonly<Record<'GET' | 'POST', Operation>> {
  return {
    GET: {
      id: `showKeyForce${suffix}`,
      tag: 'Cluster',
      summary: 'Shows what is left of a strong key that too many of its owners have lost',
      text: 'Every owner is asked itself. Nothing is changed.',
      answers: { 200: shows('ForcedKey', 'What each owner has, what would be gone on with, and what that may lose.') },
    },
    POST: {
      id: `forceKey${suffix}`,
      tag: 'Cluster',
      summary: 'Goes on with what is left of a strong key that too many of its owners have lost',
      text: 'The way out when no majority of its owners will ever have its register again. Refused when what they have is not what was shown any more.',
      body: takes(KEY_FORCE_SCHEMA, 'The id of what was shown.', { id: '0123456789abcdef' }),
      answers: { 200: shows('ForcedKey', 'Done: a majority has what was shown.') },
      problems: ['conflict', 'quorum-unavailable'],
    },
  };
}

const FORCE_KEY = forcing('');
const FORCE_KEY64 = forcing('64');

function locate(suffix: string): Operation {
  return {
    id: `locateKey${suffix}`,
    tag: 'Cluster',
    summary: 'Shows who owns a key',
    answers: { 200: shows('Location', 'Its partition, owners and the fallbacks behind them.') },
  };
}

function explain(suffix: string): Operation {
  return {
    id: `explainKey${suffix}`,
    tag: 'Cluster',
    summary: 'Shows what every replica has of a key',
    answers: { 200: shows('Explanation', 'What each has, asked one by one, and how they differ.') },
  };
}

const HEALTH: Success = shows('Health', 'All is well: a line for each named check.');
const SICK: Success = shows('Health', 'Something is not: the line of the check says what.');

function health(id: string, summary: string): Operation {
  return { id, tag: 'Health', summary, answers: { 200: HEALTH, 503: SICK } };
}

function steering(id: string, summary: string, body: RequestBody): Operation {
  return {
    ...{ id, tag: 'Cluster', summary, body },
    answers: { 202: shows('Transfers', 'What moves now.', ['Location']) },
    problems: ['conflict', 'quorum-unavailable'],
  };
}

const WHICH: RequestBody = {
  ...takes(PAUSE_SCHEMA, 'Which change is meant; may be left out.', { id: '9237eb92d465263f' }),
  required: false,
};

const WHICH_AND_LOST: RequestBody = {
  ...takes(STEER_SCHEMA, 'Which change is meant, and who is lost and shall not be waited for; may be left out.', {
    ...{ id: '9237eb92d465263f', acceptLossOf: ['n3'] },
  }),
  required: false,
};

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  'GET /v1/kv/:bucket/:key': KEY.GET,
  'PUT /v1/kv/:bucket/:key': KEY.PUT,
  'POST /v1/kv/:bucket/:key': KEY.POST,
  'DELETE /v1/kv/:bucket/:key': KEY.DELETE,
  'GET /v1/kv64/:bucket/:key': KEY64.GET,
  'PUT /v1/kv64/:bucket/:key': KEY64.PUT,
  'POST /v1/kv64/:bucket/:key': KEY64.POST,
  'DELETE /v1/kv64/:bucket/:key': KEY64.DELETE,

  'GET /v1/kv/:bucket': LIST_KEYS,
  'GET /v1/watch/:bucket': WATCH,
  'POST /v1/batch': BATCH,

  'GET /v1/buckets': {
    id: 'listBuckets',
    tag: 'Buckets',
    summary: 'Lists the buckets that somebody has defined',
    text: 'Those with which the token has anything to do.',
    answers: { 200: shows('Buckets', 'Their definitions, by name.') },
  },
  'GET /v1/buckets/:bucket': {
    id: 'showBucket',
    tag: 'Buckets',
    summary: 'Shows the definition of a bucket',
    answers: { 200: shows('Definition', 'Every property; the defaults when nobody has defined the bucket.') },
  },
  'PUT /v1/buckets/:bucket': {
    id: 'defineBucket',
    tag: 'Buckets',
    summary: 'Defines a bucket',
    text: 'Every node knows the definition before it handles another request for the bucket.',
    parameters: BUCKET_PARAMETERS,
    body: takes(component('BucketWish'), 'What differs from the defaults.', { n: 3, conflicts: 'siblings' }),
    answers: { 200: shows('Definition', 'Defined, with every default filled in.') },
    problems: ['conflict', ...AGREED],
  },
  'DELETE /v1/buckets/:bucket': {
    id: 'dropBucket',
    tag: 'Buckets',
    summary: 'Drops a bucket with its data',
    parameters: BUCKET_PARAMETERS,
    answers: { 204: { means: 'Dropped, also when nobody had defined it.' } },
    problems: ['conflict', ...AGREED],
  },

  'GET /v1/leases/:bucket/:key': LEASE.GET,
  'POST /v1/leases/:bucket/:key': LEASE.POST,
  'DELETE /v1/leases/:bucket/:key': LEASE.DELETE,
  'GET /v1/leases64/:bucket/:key': LEASE64.GET,
  'POST /v1/leases64/:bucket/:key': LEASE64.POST,
  'DELETE /v1/leases64/:bucket/:key': LEASE64.DELETE,

  'GET /v1/tokens': {
    id: 'listTokens',
    tag: 'Tokens',
    summary: 'Lists the tokens',
    answers: { 200: shows('Tokens', 'Without their secrets.') },
  },
  'POST /v1/tokens': {
    id: 'createToken',
    tag: 'Tokens',
    summary: 'Creates a token',
    parameters: TOKEN_PARAMETERS,
    body: takes(TOKEN_SCHEMA, 'Its name and what it may do.', { name: 'shop', scopes: ['read:carts', 'write:carts'] }),
    answers: { 201: shows('NewToken', 'Created. The secret is in this answer and in no other.', ['Location']) },
    problems: ['conflict', 'quorum-unavailable'],
  },
  'DELETE /v1/tokens/:name': {
    id: 'revokeToken',
    tag: 'Tokens',
    summary: 'Revokes a token',
    parameters: TOKEN_PARAMETERS,
    answers: { 204: { means: 'No node that knows the present epoch takes it any more.' } },
    problems: ['not-found', 'quorum-unavailable'],
  },

  'GET /v1/cluster': {
    id: 'showCluster',
    tag: 'Cluster',
    summary: 'Shows the members as this node sees them',
    answers: { 200: shows('Cluster', 'The cluster.') },
  },
  'GET /v1/ring': {
    id: 'showRing',
    tag: 'Cluster',
    summary: 'Shows who owns which partition',
    text: 'What a client needs to ask an owner directly. Its ETag changes with the epoch.',
    headers: ['if-match', 'if-none-match'],
    answers: {
      200: shows('Ring', 'The ring.', ['ETag']),
      304: { means: 'If-None-Match has the ETag of the ring.', headers: ['ETag', 'Cache-Control'] },
    },
    problems: ['precondition-failed'],
    problemHeaders: { 'precondition-failed': ['ETag'] },
  },
  'GET /v1/ring/locate/:bucket/:key': locate(''),
  'GET /v1/ring/locate64/:bucket/:key': locate('64'),
  'GET /v1/explain/:bucket/:key': explain(''),
  'GET /v1/explain64/:bucket/:key': explain('64'),
  'GET /v1/ring/repair': {
    id: 'showRepair',
    tag: 'Cluster',
    summary: 'Shows the repair that this node runs or ran last',
    answers: { 200: shows('Repair', 'How far it is and what it has found.') },
    problems: ['not-found'],
  },
  'POST /v1/ring/repair': {
    id: 'beginRepair',
    tag: 'Cluster',
    summary: 'Compares and mends all replicas now',
    body: { ...takes(REPAIR_SCHEMA, 'What to repair; without it all.', { bucket: 'carts' }), required: false },
    answers: { 202: shows('Repair', 'Begun.', ['Location']) },
    problems: ['conflict'],
  },
  'POST /v1/ring/force': {
    id: 'forceRing',
    tag: 'Cluster',
    summary: 'Goes on without members when a majority of the voters is gone for good',
    text: 'The way out, at one survivor, when nothing can be decided any more. Without `accept` it only tells what may be lost.',
    body: takes(FORCE_SCHEMA, 'Who is lost, and whether that is accepted.', { lost: ['n2', 'n3'] }),
    answers: { 200: shows('Forced', 'What it means.') },
    problems: ['conflict', 'quorum-unavailable'],
  },
  'GET /v1/ring/force/:bucket/:key': FORCE_KEY.GET,
  'POST /v1/ring/force/:bucket/:key': FORCE_KEY.POST,
  'GET /v1/ring/force64/:bucket/:key': FORCE_KEY64.GET,
  'POST /v1/ring/force64/:bucket/:key': FORCE_KEY64.POST,
  'POST /v1/ring/plans': {
    id: 'planRing',
    tag: 'Cluster',
    summary: 'Computes a change of the ring',
    text: 'Without doing it. An empty body, or `{}`, rebalances.',
    body: {
      ...takes(PLAN_SCHEMA, 'What is to change; several at once are worked out together.', { weights: { n1: 2 } }),
      required: false,
    },
    answers: { 200: shows('Plan', 'Every move, and the ring before and after.') },
    problems: ['conflict'],
  },
  'POST /v1/ring/plans/:id/apply': {
    id: 'applyPlan',
    tag: 'Cluster',
    summary: 'Changes the ring as planned',
    body: { ...takes(APPLY_SCHEMA, 'How fast; may be left out.', { throttle: 20_000_000 }), required: false },
    answers: { 202: shows('Transfers', 'Begun: what moves now.', ['Location']) },
    problems: ['not-found', 'conflict', 'quorum-unavailable'],
  },
  'GET /v1/ring/transfers': {
    id: 'showTransfers',
    tag: 'Cluster',
    summary: 'Shows what is moving',
    answers: { 200: shows('Transfers', 'The change that is under way.') },
  },
  'POST /v1/ring/transfers/pause': steering('pauseChange', 'Pauses the change that is under way', WHICH),
  'POST /v1/ring/transfers/resume': steering(
    'resumeChange',
    'Goes on with a change that was paused, or waits for members that are lost',
    WHICH_AND_LOST,
  ),
  'POST /v1/ring/transfers/abort': steering('abortChange', 'Takes back what has not come to its end', WHICH_AND_LOST),

  'GET /livez': health('showLive', 'Whether the process works: when not, restart it'),
  'GET /readyz': health('showReady', 'Whether this node should get requests'),
  'GET /healthz': health('showHealthy', 'Whether all of the ring has a quorum, as seen from here'),
  'GET /metrics': {
    id: 'showMetrics',
    tag: 'Health',
    summary: 'Figures for Prometheus',
    answers: {
      200: { means: 'Text exposition format.', headers: CACHE, content: { 'text/plain': { type: 'string' } } },
    },
  },
  'GET /openapi.json': {
    id: 'showDocument',
    tag: 'Health',
    summary: 'This description, as OpenAPI 3.1',
    headers: ['if-none-match', 'if-match'],
    answers: {
      200: { means: 'The document.', headers: [...CACHE, 'ETag'], content: json({ type: 'object' }) },
      304: { means: 'If-None-Match has its ETag.', headers: [...CACHE, 'ETag'] },
    },
    problems: ['precondition-failed'],
    problemHeaders: { 'precondition-failed': ['ETag'] },
  },
  'GET /docs': {
    id: 'showPage',
    tag: 'Health',
    summary: 'This description, as a page for people',
    headers: ['if-none-match', 'if-match'],
    answers: {
      200: {
        means: 'The page.',
        headers: [...CACHE, 'ETag', 'Content-Security-Policy', 'X-Content-Type-Options'],
        content: { 'text/html': { type: 'string' } },
      },
      304: { means: 'If-None-Match has its ETag.', headers: [...CACHE, 'ETag'] },
    },
    problems: ['precondition-failed'],
    problemHeaders: { 'precondition-failed': ['ETag'] },
  },
  'GET /ui/': {
    id: 'showUi',
    tag: 'Health',
    summary: 'A page for people: the members, a ring change, health, and single keys',
    answers: {
      200: {
        means: 'The page. What it shows it asks for itself, with the token that it is given.',
        headers: [...CACHE, 'Content-Security-Policy', 'X-Content-Type-Options', 'Referrer-Policy'],
        content: { 'text/html': { type: 'string' } },
      },
    },
  },
};
