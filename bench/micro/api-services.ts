/**
 * A node that answers every request at once, for measuring what stands in front of it.
 */

import { DEFAULT_API_SETTINGS, type ApiServices } from '#api/services.ts';
import { DEFAULT_PROPERTIES, type Bucket } from '#buckets/definition.ts';
import type { Version } from '#causality/state.ts';
import { epoch, nodeId, nodeIndex } from '#kernel/identity.ts';
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
    settings: DEFAULT_API_SETTINGS,
    read: async () => ({ kind: 'found', ...object }),
    write: async () => ({ kind: 'applied', ...object, written: dot }),
    buckets: { resolve: () => bucket, list: () => [], define: unused, drop: unused },
    guard: { required: false, metricsOpen: false, authenticate: unused },
    tokens: { list: unused, create: unused, revoke: unused },
    audit: () => undefined,
    members: () => 3,
    cluster: unused,
    ring: unused,
    locate: unused,
    explain: () => Promise.reject(new Error('not measured')),
    refusal: () => undefined,
    live: () => healthy,
    ready: () => healthy,
    healthy: () => healthy,
    mac: (bytes) => hash64ToBytes(sipHash64(secret, bytes)),
    sha256: digest.sha256,
    clock: realClock(),
    random: realRandom(),
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    metrics: createMetrics(),
    trace: NO_TRACE,
  };
}
