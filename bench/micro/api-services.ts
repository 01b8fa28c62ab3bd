/**
 * A node that answers every request at once, for measuring what stands in front of it.
 */

import { TokenDirectory, type Chain } from '#access/directory.ts';
import type { Facts } from '#consensus/facts.ts';
import { foundRing } from '#ring/founding.ts';
import { DEFAULT_API_SETTINGS, type ApiServices } from '#api/services.ts';
import { DEFAULT_PROPERTIES, type Bucket } from '#buckets/definition.ts';
import type { Version } from '#causality/state.ts';
import { clusterId, epoch, nodeId, nodeIndex } from '#kernel/identity.ts';
import { hash64ToBytes, sipHash64, sipKey } from '#kernel/siphash.ts';
import { NO_TRACE } from '#world/no-trace.ts';
import { digest } from '#world/digest.ts';
import { realClock } from '#world/real/clock.ts';
import { createMetrics } from '#world/real/metrics.ts';
import { realRandom } from '#world/real/random.ts';

export function benchServices(value: Uint8Array): ApiServices {
  const self = nodeId('n1');
  const bucket: Bucket = { name: 'bench', incarnation: 0, version: epoch(0), properties: DEFAULT_PROPERTIES };
  const dot = { node: nodeIndex(0), tenure: 1, counter: 200_000_000_000_000 };
  const content = { value, contentType: 'application/octet-stream', contentEncoding: '', meta: [] };
  const version: Version = { dot, content, expiresAt: 0 };
  const agreement = { acked: 2, needed: 2, of: 3, fallbacks: 0 };
  const object = { agreement, coordinator: self, versions: [version], context: [dot] };
  const healthy = { ok: true, checks: [], share: 1 };
  const secret = sipKey(new Uint8Array(16));
  const unused = (): never => {
    throw new Error('not part of the benchmark');
  };
  return {
    self,
    zone: () => 'z',
    settings: DEFAULT_API_SETTINGS,
    read: async () => ({ kind: 'found', ...object }),
    write: async () => ({ kind: 'applied', ...object, written: dot }),
    buckets: { resolve: () => bucket, list: () => [], define: unused, drop: unused },
    guard: { required: false, metricsOpen: false, authenticate: unused },
    tokens: { list: unused, create: unused, revoke: unused },
    keyForce: {
      show: () => Promise.reject(new RangeError('nothing is forced here')),
      force: async () => ({ kind: 'refused', detail: 'nothing is forced here' }),
    },
    force: { force: async () => ({ kind: 'refused', detail: 'nothing is forced here' }) },
    plans: {
      plan: async () => ({ kind: 'refused', detail: 'no plans here' }),
      apply: unused,
      steer: unused,
      transfers: unused,
    },
    repair: { begin: unused, current: unused },
    audit: () => undefined,
    members: () => 3,
    cluster: unused,
    ring: unused,
    locate: unused,
    answerTurns: { take: () => true },
    batch: unused,
    watch: unused,
    list: async () => ({ kind: 'page', keys: [], next: null }),
    changeLease: () => Promise.reject(new Error('not measured')),
    showLease: () => Promise.reject(new Error('not measured')),
    explain: () => Promise.reject(new Error('not measured')),
    refusal: () => undefined,
    live: () => healthy,
    ready: () => healthy,
    healthy: () => healthy,
    mac: (bytes) => hash64ToBytes(sipHash64(secret, bytes)),
    sha256: digest.sha256,
    uiScript: () => '',
    clock: realClock(),
    random: realRandom(),
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    metrics: createMetrics(),
    trace: NO_TRACE,
  };
}

/** Tokens of a cluster that decides by itself. */
export function benchTokens(): TokenDirectory {
  const ring = foundRing({
    clusterId: clusterId('ab'.repeat(16)),
    founders: [{ id: nodeId('n1'), peer: '', url: '', zone: '', weight: 1, storageId: null }],
    partitionCount: 8,
    hashSeed: '12'.repeat(16),
  });
  let facts: Facts = { epoch: epoch(1), ring, buckets: [], tokens: [] };
  const chain: Chain = {
    facts: () => facts,
    propose: async (change) => {
      const next = change(facts);
      if ('refused' in next) return { kind: 'refused', reason: next.refused };
      facts = next;
      return { kind: 'decided', facts };
    },
    awaitInstalled: async () => [],
    reaches: () => true,
  };
  const clock = realClock();
  return new TokenDirectory({ chain, digest, random: realRandom(), wall: () => clock.wall(), bootstrap: undefined });
}
