/**
 * The JSON that answers hold. The members of what other rooms hand out are named by their types, so that one more there does
 * not compile before it is described here.
 */

import { OPERATION_SCHEMA } from '#api/operation-body.ts';
import { DATA_TYPES } from '#causality/data-type.ts';
import { DEFINITION_SCHEMA } from '#buckets/schema.ts';
import type { Schema } from '#kernel/json-schema.ts';
import type { Explanation, HintView, ReplicaView, VersionView } from '#operator/explain-key.ts';
import type { KeyForceView, RegisterVersionView, RegisterView } from '#operator/key-force.ts';
import type { RepairedNode, RepairedPartition, RepairRun } from '#operator/ring-repair.ts';
import { FORCED, PLAN, TRANSFERS } from './plan-shape.ts';
import { count, described, flag, instant, list, nullable, object, share, text } from './shapes.ts';
import type { ProblemExtras } from '#api/problem.ts';
import type { Check, ClusterView, Location, MemberView, RingMember, RingView } from '#api/services.ts';

export type ComponentName =
  | 'Problem'
  | 'Siblings'
  | 'Keys'
  | 'DataType'
  | 'DataOperation'
  | 'BatchResults'
  | 'Definition'
  | 'BucketWish'
  | 'Buckets'
  | 'Lease'
  | 'Token'
  | 'NewToken'
  | 'Tokens'
  | 'Member'
  | 'Cluster'
  | 'Ring'
  | 'Location'
  | 'Explanation'
  | 'Repair'
  | 'Plan'
  | 'Transfers'
  | 'Forced'
  | 'ForcedKey'
  | 'Health';

export function component(name: ComponentName): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

const VERSION = object<VersionView>({
  dot: described(text, 'Which write it is: node, tenure and counter.'),
  time: instant,
  bytes: count,
  deleted: flag,
});

const REGISTER_VERSION = object<RegisterVersionView>({
  etag: described(nullable(text), 'Null where the key was deleted.'),
  time: described(nullable(instant), 'Of the last write or deletion.'),
  bytes: count,
  holder: described(nullable(text), 'Who has the lease of the key by it.'),
});

const PROBLEM_EXTRAS: Readonly<Record<keyof ProblemExtras, Schema>> = {
  field: described(text, 'The parameter, header, path segment or body member that is wrong.'),
  needed: described(
    count,
    'Of an unmet quorum: replicas that were needed, or nodes that had to decide, to tell or to know.',
  ),
  got: described(count, 'How many of them there were.'),
  outcome: {
    enum: ['not-applied', 'unknown'],
    description:
      'Of a write. `not-applied`: no replica holds it, so it is safe to send it again. `unknown`: some may hold it and it ' +
      'may yet win; send it again with the same Idempotency-Key.',
  },
  holder: described(text, 'Of a lease that somebody else holds: who.'),
  expiresAt: described(instant, 'Of a lease that somebody else holds: until when.'),
};

interface ProblemDocument extends ProblemExtras {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
}

export interface SiblingView {
  readonly etag: string;
  readonly contentType: string;
  readonly contentEncoding?: string;
  readonly lastModified: string;
  readonly expires?: string;
  readonly meta: object;
  readonly value: string;
}

const SIBLING = object<SiblingView>(
  {
    etag: described(text, 'Of this version alone; `?sibling=` takes it.'),
    contentType: text,
    contentEncoding: text,
    lastModified: instant,
    expires: described(instant, 'When it ends, as far as it does.'),
    meta: { type: 'object', additionalProperties: text, description: 'Its Quoral-Meta-* headers.' },
    value: { type: 'string', contentEncoding: 'base64' },
  },
  ['contentEncoding', 'expires'],
);

interface BatchResult {
  readonly status: number;
  readonly etag?: string;
  readonly context?: string;
  readonly replicas?: string;
  readonly coordinator?: string;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly lastModified?: string;
  readonly expires?: string;
  readonly meta?: object;
  readonly value?: string;
  readonly value64?: string;
  readonly siblings?: unknown;
  readonly problem?: object;
}

/** All but the status. */
const BATCH_OPTIONAL: Readonly<Record<Exclude<keyof BatchResult, 'status'>, true>> = {
  ...{ etag: true, context: true, replicas: true, coordinator: true, contentType: true, contentEncoding: true },
  ...{ lastModified: true, expires: true, meta: true, value: true, value64: true, siblings: true, problem: true },
};

const TOKEN = {
  name: text,
  scopes: list(text),
  createdAt: instant,
  expiresAt: described(nullable(instant), 'Null when it does not expire.'),
};

export const COMPONENTS: Readonly<Record<ComponentName, Schema>> = {
  Problem: object<ProblemDocument>(
    {
      type: described(text, '`urn:quoral:problem:` and the code.'),
      title: text,
      status: { type: 'integer', minimum: 400, maximum: 599 },
      detail: described(text, 'What is wrong, in words that name it and say what would be right.'),
      ...PROBLEM_EXTRAS,
    },
    Object.keys(PROBLEM_EXTRAS) as (keyof ProblemExtras)[],
  ),
  DataType: {
    ...object<{ type: string; value: unknown; context: unknown }>({
      type: { enum: DATA_TYPES },
      value: described({}, 'A whole number, a list without order, an object with the fields, any JSON, true or false.'),
      context: described(nullable(text), 'The same as Quoral-Context; null in strong buckets, which have none.'),
    }),
    description:
      'Beside these `concurrent`, the values of a register that was assigned at several places at once, the latest last; and ' +
      '`types`, of a map what each field is.',
  },
  DataOperation: OPERATION_SCHEMA,
  Siblings: object<{ context: string; siblings: unknown }>({
    context: described(text, 'As in the header Quoral-Context.'),
    siblings: list(SIBLING),
  }),
  BatchResults: object<{ results: unknown }>({
    results: list(
      object<BatchResult>(
        {
          status: { type: 'integer', minimum: 200, maximum: 599 },
          etag: described(text, 'As in the header ETag, without its quotes.'),
          context: described(text, 'As in the header Quoral-Context.'),
          replicas: described(text, 'As in the header Quoral-Replicas.'),
          coordinator: described(text, 'As in the header Quoral-Coordinator.'),
          contentType: text,
          contentEncoding: text,
          lastModified: instant,
          expires: described(instant, 'As in the header Quoral-Expires.'),
          meta: { type: 'object', additionalProperties: text },
          value: described(text, 'Of a `get`, where it is UTF-8.'),
          value64: { type: 'string', contentEncoding: 'base64', description: 'Of a `get`, where it is not.' },
          siblings: list(SIBLING),
          problem: component('Problem'),
        },
        Object.keys(BATCH_OPTIONAL) as (keyof BatchResult)[],
      ),
    ),
  }),
  Keys: object<{ keys: unknown; next: unknown }>({
    keys: list(text),
    next: described(nullable(text), 'Give it as `after` for the next page; null when this was the last.'),
  }),
  Definition: { ...DEFINITION_SCHEMA, required: Object.keys(DEFINITION_SCHEMA.properties ?? {}) },
  BucketWish: DEFINITION_SCHEMA,
  Buckets: object<{ buckets: unknown }>({
    buckets: list(object<{ name: string; properties: unknown }>({ name: text, properties: component('Definition') })),
  }),
  Lease: object<{ holder: string; token: number; expiresAt: string }>({
    holder: text,
    token: described(count, 'Grows with every holder: what it guards refuses one lower than it has seen.'),
    expiresAt: instant,
  }),
  Token: object<typeof TOKEN>(TOKEN),
  NewToken: object<typeof TOKEN & { token: string }>({
    ...TOKEN,
    token: described(text, 'The secret itself; no other answer ever has it.'),
  }),
  Tokens: object<{ tokens: unknown }>({ tokens: list(component('Token')) }),
  Member: object<MemberView>({
    id: text,
    url: described(text, 'Where clients reach it; empty until it is known.'),
    peer: described(text, 'Where other nodes reach it.'),
    zone: text,
    weight: { type: 'number', minimum: 0 },
    state: { enum: ['joining', 'refilling', 'active', 'leaving', 'removed'] },
    reachable: flag,
    clockDifference: described(
      nullable({ type: 'integer' }),
      "Milliseconds that its clock is ahead of the answering node's, negative when behind; null when it is not known.",
    ),
    share: described(share, 'Of the ring that it owns.'),
    partitions: described(count, 'Partitions that it owns.'),
    hintsWaiting: described(count, 'Hints that the answering node knows to wait for it.'),
  }),
  Cluster: object<ClusterView>({
    clusterId: text,
    epoch: count,
    self: text,
    members: list(component('Member')),
    transfers: list({}),
    hintsWaiting: count,
  }),
  Ring: object<RingView>({
    epoch: count,
    partitions: count,
    hashSeed: {
      type: 'string',
      pattern: '^[0-9a-f]{32}$',
      description:
        'The key of SipHash-2-4, whose value for the bucket, a zero byte and the key has the number of the partition as its top bits.',
    },
    members: list(
      object<RingMember>({
        id: text,
        url: described(text, 'Where clients reach it; empty until it is known.'),
        zone: text,
      }),
    ),
    placements: {
      type: 'object',
      additionalProperties: list(list(text)),
      description: 'For each n in use the owners of every partition, in preference order.',
    },
  }),
  Location: object<Location>({
    hash: { type: 'string', pattern: '^[0-9a-f]{16}$' },
    partition: count,
    primaries: list(text),
    fallbacks: list(text),
  }),
  Explanation: object<Explanation>({
    bucket: text,
    partition: count,
    replicas: list(
      object<ReplicaView>({
        node: text,
        role: text,
        reachable: flag,
        versions: list(VERSION),
        vector: list(
          text,
          'Up to where it knows the writes of each actor, `*` standing for all of them; empty when it never heard of the key.',
        ),
        digest: described(nullable(text), 'Equal where all that counts is; null without a record that can be read.'),
      }),
    ),
    hints: list(
      object<HintView>({
        at: text,
        for: text,
        versions: list(VERSION),
        digest: nullable(text),
        sole: described(flag, 'Whether it may be the only copy of an acknowledged write.'),
        oldest: instant,
      }),
    ),
    agree: described(flag, 'Whether every owner answered and all have the very same.'),
    differences: list(text, 'Who differs and why, in words.'),
  }),
  ForcedKey: object<KeyForceView>({
    applied: described(flag, 'Whether it was done, or only shown.'),
    bucket: text,
    partition: count,
    owners: list(
      object<RegisterView>({
        node: text,
        register: { enum: ['whole', 'damaged', 'silent'] },
        reason: described(text, 'Why a silent one cannot be asked, or that one is a former owner.'),
        version: nullable(REGISTER_VERSION),
      }),
      'What each owner has of the key, asked one by one.',
    ),
    id: described(nullable(text), 'To be sent to have it done; null where it cannot be, or needs not.'),
    refusal: described(text, 'Why it cannot be done or needs not; empty when it can.'),
    keeps: described(nullable(REGISTER_VERSION), 'What the key would hold: null for nothing.'),
    mayLose: list(text, 'What may be lost, in words.'),
  }),
  Repair: object<RepairRun>({
    id: count,
    state: { enum: ['running', 'done'] },
    bucket: described(nullable(text), 'Null for all.'),
    done: described(count, 'Steps done: one a member, one a pair of members.'),
    steps: count,
    compared: described(count, 'Partitions compared, counted once a pair.'),
    keys: described(count, 'Keys of which two owners had different states.'),
    underWay: described(count, 'Keys that were being written while they were compared, and differed at the end.'),
    refused: described(count, 'States that a replica did not take.'),
    nodes: list(object<RepairedNode>({ node: text, rows: count, damaged: count, received: count })),
    differed: list(object<RepairedPartition>({ n: count, partition: count, between: list(text), keys: count })),
    reclaimed: described(count, 'Tombstones that were given up, when that was wanted.'),
    blocked: list(text, 'What was in the way of others.'),
    failures: list(text, 'What could not be done.'),
  }),
  Plan: PLAN,
  Transfers: TRANSFERS,
  Forced: FORCED,
  Health: object<{ status: string; node: string; ringWithQuorum: number; checks: unknown }>(
    {
      status: { enum: ['ok', 'failing'] },
      node: text,
      ringWithQuorum: described(share, 'Share of the ring with a quorum; of /healthz.'),
      checks: list(object<Check>({ name: text, ok: flag, warning: flag, detail: text }, ['warning'])),
    },
    ['ringWithQuorum'],
  ),
};
