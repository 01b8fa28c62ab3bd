/**
 * Fills the data directory of a node that does not run with keys, many times faster than clients could: the node itself, put
 * together without its client door, mints them in large groups. So rows, trees, indexes and the log of changes are what
 * they would be. A program of its own, as a node is: `scale-fill.ts DIRECTORY PEER FROM TO BYTES`.
 */

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { utf8 } from '#kernel/bytes.ts';
import { nodeOptions } from '#cli/run-node.ts';
import { loadConfig } from '#config.ts';
import { NODE_TABLES, QuoralNode } from '#node.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import { digest } from '#world/digest.ts';
import { NO_TRACE } from '#world/no-trace.ts';
import { realClock } from '#world/real/clock.ts';
import { openDisk } from '#world/real/disk.ts';
import { createLog } from '#world/real/log.ts';
import { createMetrics } from '#world/real/metrics.ts';
import { createNetwork } from '#world/real/network.ts';
import { realRandom } from '#world/real/random.ts';
import type { World } from '#world/world.ts';

/** What a node that serves could not spare. */
const GROUP = 4096;
const CACHE_BYTES = 2 * 1024 ** 3;
const WAL_BYTES = 256 * 1024 ** 2;

export const SECRET = 'a secret of this benchmark';
export const BUCKET = 'bench';

async function open(directory: string, peer: string): Promise<QuoralNode> {
  const [host = '', port = ''] = peer.split(':');
  const flags = { id: 'n1', 'peer-listen': peer, 'data-dir': directory, 'cluster-secret': SECRET };
  const { settings, origins } = loadConfig({ file: undefined, environment: {}, flags });
  const metrics = createMetrics();
  const log = createLog({ level: 'error', fields: {}, bufferMax: 1024 ** 2, metrics });
  const path = join(directory, 'quoral.db');
  const disk = await openDisk({
    path,
    tables: NODE_TABLES,
    log,
    metrics,
    cacheBytes: CACHE_BYTES,
    walBytes: WAL_BYTES,
  });
  const network = createNetwork({ listenHost: host, listenPort: Number(port), log });
  const world: World = {
    clock: realClock(),
    random: realRandom(),
    network,
    disk,
    log,
    metrics,
    trace: NO_TRACE,
    digest,
  };
  const options = nodeOptions(settings, origins);
  const node = await QuoralNode.create(world, { ...options, replica: { ...options.replica, commitGroupMax: GROUP } });
  await node.start();
  while (!node.ready()) await sleep(20);
  return node;
}

function mint(node: QuoralNode, record: number, noise: Uint8Array): Promise<unknown> {
  const ring = node.chain.facts()!.ring;
  const bucket = node.buckets.resolve(BUCKET);
  const key = utf8(`key-${record}`);
  const value = noise.slice();
  new DataView(value.buffer).setFloat64(0, record);
  return node.replica.mint(
    {
      scope: {
        epoch: node.chain.facts()!.epoch,
        n: bucket.properties.n,
        partition: partitionOf(ring, hashKey(ring, BUCKET, key)),
        bucket: BUCKET,
        incarnation: bucket.incarnation,
        definition: bucket.version,
      },
      key,
      content: { value, contentType: 'application/octet-stream', contentEncoding: '', meta: [] },
      ...{ operating: null, context: [], expiresAt: 0, after: 0, mark: null },
      durable: false,
      stillWanted: () => true,
    },
    () => false,
  );
}

const [directory = '', peer = '', from = '', to = '', bytes = ''] = process.argv.slice(2);
const node = await open(directory, peer);
const noise = crypto.getRandomValues(new Uint8Array(Number(bytes)));
for (let start = Number(from); start < Number(to); start += GROUP) {
  const count = Math.min(GROUP, Number(to) - start);
  await Promise.all(Array.from({ length: count }, (_, i) => mint(node, start + i, noise)));
}
await node.stop(1000);
process.exit(0);
