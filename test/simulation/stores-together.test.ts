/**
 * Many writes at once through every node, whose stores share messages, while messages get lost, doubled and overtaken and replicas
 * refuse a part of what comes in one: what each client was told must be true of its own write. The random runs have too few
 * clients at a time for that.
 */

import { expect, test } from 'vitest';
import { decodeState } from '#causality/state-codec.ts';
import { fromUtf8, utf8 } from '#kernel/bytes.ts';
import { RECORDS, recordKey } from '#replica/tables.ts';
import { digest } from '#world/digest.ts';
import { SimulatedCluster, type Machine } from './cluster.ts';
import { requestName } from './messages-on-the-wire.ts';

const ROUNDS = 3;
const AT_ONCE = 12;
/** Fewer than come at once, so that a part is refused. */
const QUEUE = 16;

const LIMITS = {
  ...{ siblingsMax: 100, entriesMax: 1000, stateBytesMax: 8 * 1024 * 1024 },
  ...{ commitGroupMax: 128, commitQueueMax: QUEUE, commitQueueBytesMax: 256 * 1024 * 1024 },
  ...{ retryWindow: 600_000, retriesMax: 1_000_000, retryPurgeInterval: 10_000 },
};

interface Told {
  readonly key: string;
  readonly outcome: string;
}

async function put(cluster: SimulatedCluster, id: string, key: string): Promise<Told> {
  const target = `/v1/kv/b/${key}?w=all&dw=all&sloppy=false&timeout=800`;
  const { status, body } = await cluster.running(id).api('PUT', target, {}, utf8(key));
  if (status === 204) return { key, outcome: 'applied' };
  const problem = JSON.parse(fromUtf8(body)) as { readonly outcome?: string };
  return { key, outcome: problem.outcome ?? 'none' };
}

/** The value that the machine's disk holds. */
function valueAt({ medium }: Machine, key: string): string | undefined {
  const row = medium.row(RECORDS, recordKey('b', 0, utf8(key)));
  const [version] = row === undefined ? [] : decodeState(row, digest.crc32).versions;
  return version?.content === undefined || version.content === null ? undefined : fromUtf8(version.content.value);
}

async function run(seed: number): Promise<{ readonly told: readonly Told[]; readonly together: number }> {
  const cluster = await SimulatedCluster.founded({ seed: `together ${seed}`, nodes: 3, node: { replica: LIMITS } });
  const { machines, network, simulation } = cluster;
  await simulation.run(simulation.now + 2000);
  let together = 0;
  const loses = (message: Uint8Array): boolean => {
    if (requestName(message) === 'replica.stores') together += 1;
    return false;
  };
  for (const machine of machines) {
    machine.medium.extraSyncMilliseconds = 3;
    machine.medium.losesAllUnsynced = true;
    for (const other of machines)
      if (other !== machine)
        network.setFault(machine.host, other.host, { drop: 0.02, duplicate: 0.1, reorder: 0.05, loses });
  }
  const told: Told[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const writes = machines.flatMap(({ id }) =>
      Array.from({ length: AT_ONCE }, (_, i) => put(cluster, id, `${id}-${round}-${i}`)),
    );
    told.push(...(await simulation.settle(Promise.all(writes))));
  }
  // The power goes: what was told must be on the disks.
  for (const machine of machines) cluster.crash(machine);
  for (const { key, outcome } of told) {
    const values = machines.map((machine) => valueAt(machine, key));
    if (outcome === 'applied') expect(values, key).toEqual([key, key, key]);
    else if (outcome === 'not-applied') expect(values, key).toEqual([undefined, undefined, undefined]);
    else expect(outcome).toBe('unknown');
  }
  return { told, together };
}

test(
  'of stores that share a message each has its own end, and what was told of it is true',
  { timeout: 60_000 },
  async () => {
    const outcomes = new Map<string, number>();
    let together = 0;
    for (let seed = 0; seed < 3; seed++) {
      const result = await run(seed);
      together += result.together;
      for (const { outcome } of result.told) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    expect(together).toBeGreaterThan(10);
    expect(outcomes.get('applied')).toBeGreaterThan(10);
    expect(outcomes.get('unknown')).toBeGreaterThan(10);
  },
);
