/** A real node of a cluster of one, in a process of its own, for targets that aim at its doors. */

import type fc from 'fast-check';
import { http, TestCluster } from '../cluster/support.ts';
import type { Host } from './peer-visitor.ts';
import { broken } from './promises.ts';
import type { OpenTarget } from './target.ts';

const HEAP_DOOR = new URL('./heap-door.ts', import.meta.url).href;
const SECRET = new TextEncoder().encode('a secret of this test');

/** Errors that a peer may well be the cause of: the operator shall look at that peer. */
const ALARMS = ['foreign-founding'];

export interface RealNode extends Host {
  /** Of the door for clients. */
  readonly clientPort: number;
}

export async function atNode(make: (node: RealNode) => Promise<fc.IAsyncProperty<[unknown]>>): Promise<OpenTarget> {
  const cluster = await TestCluster.prepare(1, {
    // On a busy machine the visitor itself may be slow.
    // A second without a write makes the journal begin another segment, which is memory too: at 32 MiB it would look like a leak.
    flagsOf: () => ['--log-level', 'warn', '--handshake-timeout', '15s', '--disk-journal', '1MiB'],
    runtime: ['--import', HEAP_DOOR],
  });
  cluster.startAll();
  await cluster.ready();
  const url = cluster.url('n1');
  const node = cluster.nodes.get('n1')!;
  const view = JSON.parse((await http('GET', `${url}/v1/cluster`)).body.toString()) as { clusterId: string };
  const host: RealNode = {
    id: 'n1',
    port: Number(cluster.peer('n1').split(':')[1]),
    clusterId: view.clusterId,
    secret: SECRET,
    clientPort: Number(new URL(url).port),
  };
  let round = 0;
  return {
    property: await make(host),
    wellness: async () => {
      if (node.process.exitCode !== null) broken('the process lives', node.stderr());
      const errors = node
        .stdout()
        .split('\n')
        .filter((line) => line.includes('"level":"error"'));
      const faults = errors.filter((line) => !ALARMS.some((event) => line.includes(`"event":"${event}"`)));
      if (faults.length > 0) broken('nothing of a peer is a fault of the node', faults[0]);
      round += 1;
      const target = `${url}/v1/kv/after/k${round}`;
      const written = await http('PUT', target, { body: 'well' });
      if (written.status !== 204) broken('the node serves', written.body.toString());
      const read = await http('GET', target);
      if (read.body.toString() !== 'well') broken('the node serves', read.status);
    },
    heapBytes: () =>
      new Promise((resolve) => {
        const hear = (message: unknown): void => {
          if (typeof message !== 'object' || message === null || !('heapBytes' in message)) return;
          node.process.off('message', hear);
          resolve(Number(message.heapBytes));
        };
        node.process.on('message', hear);
        node.process.send?.('heap');
      }),
    close: () => cluster.stop(),
  };
}
