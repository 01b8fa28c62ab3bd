/**
 * What a node as a whole shows in `/metrics`: which program it is, what it knows of the cluster, whether it serves.
 */

import { ringShareWithQuorum } from './node-health.ts';
import type { QuoralNode } from './node.ts';
import { VERSION } from './version.ts';

const STATES = ['joining', 'refilling', 'active', 'leaving'] as const;

export function nodeFigures(node: QuoralNode): void {
  const { metrics } = node.world;
  const { id, zone } = node.options;
  // What the process was started with, since a label that changes makes two series of one node.
  const info =
    'Always 1; which program runs as which node, with the zone of its settings (/v1/cluster has that of the ring).';
  metrics.gauge('quoral_build_info', info, () => 1, { version: VERSION, node: id, zone });
  metrics.gauge('quoral_epoch', 'The newest epoch that this node knows.', () => node.chain.facts()?.epoch ?? 0);
  metrics.gauge('quoral_ready', '1 while data requests are served, else 0.', () => (node.ready() ? 1 : 0));
  metrics.gauge('quoral_ring_quorum_ratio', 'Share of the ring that has a quorum, as seen from here.', () =>
    ringShareWithQuorum(node),
  );
  metrics.gauge(
    'quoral_hybrid_clock_lead_seconds',
    "Seconds that the times of this node's writes are ahead of its calendar clock.",
    () => node.hybridClockLead() / 1000,
  );
  for (const state of STATES) {
    const count = (): number => node.chain.facts()?.ring.members.filter((member) => member.state === state).length ?? 0;
    metrics.gauge('quoral_ring_members', 'Members that the ring names, by state.', count, { state });
  }
}
