/**
 * What the HTTP front door gets to see of a node.
 */

import { isoDate } from '#api/http-date.ts';
import { toHex } from '#kernel/bytes.ts';
import { nodeId, storageId, type NodeId } from '#kernel/identity.ts';
import { hash64ToHex } from '#kernel/siphash.ts';
import { memberStatuses, newcomerStatus, placementsByName, type SeenOfMembers } from '#operator/status.ts';
import { movingEntries } from '#repair/moved-rows.ts';
import { KeyForce } from '#operator/key-force.ts';
import { RingForce } from '#operator/ring-force.ts';
import { RingPlans } from '#operator/ring-plans.ts';
import type { Newcomer } from '#ring/change.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import { preferenceList } from '#ring/preference-list.ts';
import { present } from '#kernel/assert.ts';
import type { Facts } from '#consensus/facts.ts';
import {
  DEFAULT_API_SETTINGS,
  type ApiServices,
  type ApiSettings,
  type BucketServices,
  type BucketTrouble,
  type ClusterView,
  type Location,
} from '#api/services.ts';
import { AnswerTurns } from '#coordinator/answer-turns.ts';
import type { Bucket, BucketProperties } from '#buckets/definition.ts';
import type { BucketFailure, KeysHeld } from '#buckets/directory.ts';
import { fillDefaults, parseProperties } from '#buckets/schema.ts';
import { nodeFigures } from './node-figures.ts';
import { clusterHealth, liveHealth, readyHealth, type HostHealth } from './node-health.ts';
import type { QuoralNode } from './node.ts';
import type { Settings } from './settings.ts';
import { uiScript } from './ui-script.ts';

type RequestSettings = Pick<
  Settings,
  'value-max' | 'request-timeout' | 'requests-max' | 'auth' | 'metrics-open' | 'audit-refusals-max'
> &
  Partial<
    Pick<
      Settings,
      | 'access-log'
      | 'access-log-keys'
      | 'access-log-rate'
      | 'slow-request'
      | 'start-patience'
      | 'overload-latency'
      | 'overload-requests-min'
      | 'repeat-pause'
      | 'streams-max'
      | 'cors-origins'
      | 'batch-max'
      | 'batch-bytes-max'
    >
  >;

function apiSettings(settings: RequestSettings, memory: Partial<ApiSettings>): ApiSettings {
  return {
    ...DEFAULT_API_SETTINGS,
    ...memory,
    valueMaxBytes: settings['value-max'],
    requestTimeoutMs: settings['request-timeout'],
    startPatienceMs: settings['start-patience'] ?? DEFAULT_API_SETTINGS.startPatienceMs,
    requestsMax: settings['requests-max'],
    overloadLatencyMs: settings['overload-latency'] ?? DEFAULT_API_SETTINGS.overloadLatencyMs,
    overloadRequestsMin: settings['overload-requests-min'] ?? DEFAULT_API_SETTINGS.overloadRequestsMin,
    repeatPauseMs: settings['repeat-pause'] ?? DEFAULT_API_SETTINGS.repeatPauseMs,
    batchMax: settings['batch-max'] ?? DEFAULT_API_SETTINGS.batchMax,
    batchBytesMax: settings['batch-bytes-max'] ?? DEFAULT_API_SETTINGS.batchBytesMax,
    streamsMax: settings['streams-max'] ?? DEFAULT_API_SETTINGS.streamsMax,
    corsOrigins: settings['cors-origins'] ?? DEFAULT_API_SETTINGS.corsOrigins,
    auditRefusalsMax: settings['audit-refusals-max'],
    accessLog: settings['access-log'] ?? DEFAULT_API_SETTINGS.accessLog,
    accessLogKeys: settings['access-log-keys'] ?? DEFAULT_API_SETTINGS.accessLogKeys,
    accessLogRate: settings['access-log-rate'] ?? DEFAULT_API_SETTINGS.accessLogRate,
    slowRequestMs: settings['slow-request'] ?? DEFAULT_API_SETTINGS.slowRequestMs,
  };
}

/** `audit` keeps the lines of the audit log; without it they stand in the node's log. `memory` is what values of clients get of it. */
export function nodeServices(
  node: QuoralNode,
  settings: RequestSettings,
  audit: ApiServices['audit'] = (fields) => node.world.log.info('audit', fields),
  host?: HostHealth,
  memory: Partial<Pick<ApiSettings, 'bodiesMaxBytes' | 'answersMaxBytes'>> = {},
): ApiServices {
  nodeFigures(node);
  const { world, chain, coordinator } = node;
  const limits = apiSettings(settings, memory);
  const facts = (): Facts => present(chain.facts(), 'the facts of a founded cluster');
  const reachable = (id: NodeId): boolean => id === node.options.id || node.peers.answers(id);
  return {
    self: node.options.id,
    zone: () => node.member()?.zone ?? node.options.zone,
    settings: limits,
    read: (request) => coordinator.read(request),
    write: (request) => coordinator.write(request),
    watch: (bucket, prefix, place) => node.watches.watch(bucket, prefix, place),
    batch: () => coordinator.batch(),
    answerTurns: new AnswerTurns(world.clock, world.metrics, limits.answersMaxBytes),
    list: (request) => coordinator.list(request),
    changeLease: (request, change) => coordinator.strong.changeLease(request, change),
    showLease: (request) => coordinator.strong.showLease(request),
    buckets: bucketServices(node),
    guard: {
      required: settings.auth === 'tokens',
      metricsOpen: settings['metrics-open'],
      authenticate: (token) => node.tokens.authenticate(token),
    },
    tokens: node.tokens,
    audit,
    members: () => facts().ring.members.filter(({ state }) => state !== 'removed').length,
    cluster: () => clusterView(node, reachable),
    ring: () => {
      const { epoch, ring } = facts();
      const { partitionCount, hashSeed } = ring;
      const members = ring.members.filter(({ state }) => state !== 'removed');
      return {
        epoch,
        partitions: partitionCount,
        hashSeed,
        members: members.map(({ id, url, zone }) => ({ id, url, zone })),
        placements: placementsByName(ring),
      };
    },
    locate: (bucket, key) => locate(facts(), bucket, key),
    explain: (bucket, key, deadline) => node.explainKey.explain(bucket, key, deadline),
    plans: ringPlans(node, reachable),
    force: ringForce(node, reachable),
    keyForce: new KeyForce({ registers: node.coordinator.strong.force, digest: world.digest, timeText: isoDate }),
    repair: node.ringRepair,
    refusal: () => node.notReadyReason(),
    live: () => liveHealth(node),
    ready: () => readyHealth(node, host),
    healthy: () => clusterHealth(node),
    ...(host === undefined ? {} : { loop: host.eventLoopTime }),
    mac: node.mac,
    sha256: world.digest.sha256,
    uiScript,
    clock: world.clock,
    random: world.random,
    log: world.log,
    metrics: world.metrics,
    trace: world.trace,
  };
}

/** Milliseconds for one question about how much there is to move. */
const WEIGH_TIMEOUT_MS = 2000;

function ringPlans(node: QuoralNode, reachable: (id: NodeId) => boolean): RingPlans {
  const { world, messaging, chain, repair, away } = node;
  const newcomers = (): Newcomer[] =>
    chain.newcomers().map((one) => ({ ...one, id: nodeId(one.id), storageId: storageId(one.storageId) }));
  const self = node.options.id;
  const plans = new RingPlans({
    ...{ world, messaging, weigher: repair.weigher, moves: repair.moves, away, self, newcomers, reachable },
    facts: () => chain.facts(),
    propose: (change, deadline) => chain.propose(change, deadline),
    callTimeout: WEIGH_TIMEOUT_MS,
    bytesPerSecond: node.options.repair.transferRate,
  });
  chain.onFacts(() => plans.noteProgress());
  return plans;
}

function ringForce({ chain, world, options }: QuoralNode, reachable: (id: NodeId) => boolean): RingForce {
  return new RingForce({
    ...{ self: options.id, facts: () => chain.facts(), reachable },
    install: async (facts) => {
      world.log.warn('ring-forced', { epoch: facts.epoch });
      return await chain.force(facts);
    },
    newId: () => toHex(world.random.bytes(8)),
  });
}

function bucketServices(node: QuoralNode): BucketServices {
  const { buckets } = node;
  return {
    resolve: (name) => buckets.resolve(name),
    list: () => buckets.list(),
    define: async (name, input, deadline) => {
      const parsed = parseProperties(input);
      if (parsed.kind === 'invalid') return parsed;
      const change = await buckets.define(
        name,
        parsed.properties,
        () => holdsKeys(node, name, parsed.properties, deadline),
        deadline,
      );
      if (change.kind === 'applied') return { kind: 'defined', bucket: change.bucket };
      if (change.kind === 'refused') {
        const field = change.reason === 'conflict' ? { field: change.property } : {};
        return { kind: 'conflict', ...field, detail: change.detail };
      }
      return troubleOf(change);
    },
    drop: async (name, deadline) => {
      if (await isUntouched(node, name, deadline)) return { kind: 'dropped' };
      const change = await buckets.drop(name, deadline);
      if (change.kind === 'applied') return { kind: 'dropped' };
      if (change.kind === 'refused') return { kind: 'conflict', detail: change.detail };
      return troubleOf(change);
    },
  };
}

function troubleOf({ detail, outcome, votes }: BucketFailure): BucketTrouble {
  return {
    kind: 'failed',
    trouble: 'quorum-unavailable',
    detail,
    applied: outcome,
    ...(votes !== undefined && { votes }),
  };
}

/**
 * Whether there is nothing to drop: nobody has ever defined or dropped the bucket, and no member holds a key of it. Then its
 * name need not be kept for ever.
 */
async function isUntouched(node: QuoralNode, name: string, deadline: number): Promise<boolean> {
  const { version, incarnation } = node.buckets.resolve(name);
  if (version !== 0) return false;
  const answer = await node.bucketKeys.ask({ bucket: name, incarnation }, otherMembers(node), 0, deadline);
  return answer.kind === 'answer' && !answer.holds;
}

function otherMembers(node: QuoralNode): readonly NodeId[] {
  const { members } = present(node.chain.facts(), 'the facts of a founded cluster').ring;
  return members.filter(({ id, state }) => id !== node.options.id && state !== 'removed').map(({ id }) => id);
}

async function holdsKeys(
  node: QuoralNode,
  name: string,
  wanted: Partial<BucketProperties>,
  deadline: number,
): Promise<KeysHeld> {
  const others = otherMembers(node);
  const { incarnation, properties } = node.buckets.resolve(name);
  const { n, conflicts, consistency, type } = fillDefaults(wanted);
  const stays = n === properties.n && consistency === properties.consistency && type === properties.type;
  const silentMax = stays && conflicts === 'siblings' ? Math.floor(others.length / 2) : 0;
  const answer = await node.bucketKeys.ask({ bucket: name, incarnation }, others, silentMax, deadline);
  if (answer.kind === 'unknown') return { detail: toDoAbout(answer.silent), votes: answer.votes };
  return answer.holds;
}

/** Anybody may write to a bucket that nobody has defined, so of no name it is certain that a silent member has no key of it. */
function toDoAbout(silent: readonly NodeId[]): string {
  const leave = silent.map((id) => `--leave ${id}`).join(' ');
  return (
    `no answer from ${silent.join(', ')}, which may hold some that the new definition would hide; start it again, or take it out ` +
    `of the ring for good (quoral ring plan ${leave}); conflicts=siblings alone, and what is not fixed, can be defined without it`
  );
}

function clusterView(node: QuoralNode, reachable: (id: NodeId) => boolean): ClusterView {
  const { chain } = node;
  const facts = chain.facts();
  const seen: SeenOfMembers = {
    reachable,
    hintsWaiting: (member) => node.hints.waiting(member),
    clockDifference: (id) => node.membership.clocks.difference(id),
  };
  return {
    clusterId: node.clusterId,
    epoch: facts?.epoch ?? 0,
    self: node.options.id,
    members: [
      ...(facts === undefined ? [] : memberStatuses(facts, seen)),
      ...chain.newcomers().map((one) => newcomerStatus(one, seen)),
    ],
    transfers:
      facts === undefined
        ? []
        : movingEntries(facts.ring).map(({ place, entry }) => ({ ...place, stage: entry.move!.stage })),
    hintsWaiting: node.hints.waiting(),
  };
}

function locate({ ring }: Facts, bucket: Bucket, key: Uint8Array): Location {
  const hash = hashKey(ring, bucket.name, key);
  const partition = partitionOf(ring, hash);
  const { primaries, fallbacks } = preferenceList(ring, bucket.properties.n, partition);
  return {
    hash: hash64ToHex(hash),
    partition,
    primaries: primaries.map(({ id }) => id),
    fallbacks: fallbacks.map(({ id }) => id),
  };
}
