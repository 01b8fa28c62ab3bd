/**
 * How a node is, as a line for each named check. Three questions, and what hangs on each answer:
 *
 * - live: would a restart help? Then somebody kills the process.
 * - ready: should this node get requests? When not, a load balancer sends them elsewhere.
 * - healthy: does every part of the ring have a quorum, as seen from here? When not, somebody is called.
 *
 * What works but will not work for long is a warning: it is told, and nobody stops sending requests because of it.
 */

import type { LoopTime } from '#api/adaptive-limit.ts';
import type { Check, ClusterHealth, Health } from '#api/services.ts';
import type { NodeId } from '#kernel/identity.ts';
import { aheadOf } from '#membership/clocks.ts';
import { quorumShare } from '#operator/status.ts';
import type { QuoralNode } from './node.ts';

/** What a node's own rooms cannot know. */
export interface HostHealth {
  /** The event loop's longest delay of late, in milliseconds. */
  readonly eventLoopDelay: () => number;
  /** How the event loop has spent its time. */
  readonly eventLoopTime: () => LoopTime;
  /** True when the process is on its way out. */
  readonly stopping: () => boolean;
  /** Lines about the certificates of its doors. */
  readonly certificates: () => readonly Check[];
  /** A longer delay of the event loop is a warning. */
  readonly eventLoopDelayWarning: number;
  /** Less free space than this many bytes is a warning. */
  readonly diskFreeWarning: number;
}

export function liveHealth(node: QuoralNode): Health {
  const failure = node.world.disk.failure();
  const final = failure !== undefined && failure.kind !== 'full';
  return health([
    { name: 'process', ok: true, detail: 'answers' },
    {
      name: 'disk',
      ok: !final,
      detail: final ? `${failure.kind}: ${failure.message}; only a restart can tell what is on it` : 'works',
    },
    {
      name: 'tenures',
      ok: node.tenureValid(),
      detail: node.tenureValid() ? 'left in this boot' : 'all of this boot are spent; a restart brings new ones',
    },
  ]);
}

export function readyHealth(node: QuoralNode, host: HostHealth | undefined): Health {
  return health([
    ...(host === undefined ? [] : [stoppingCheck(host)]),
    diskCheck(node),
    ...(host === undefined ? [] : [diskSpaceCheck(node, host)]),
    epochCheck(node),
    memberCheck(node),
    servingCheck(node),
    peersCheck(node),
    clocksCheck(node),
    ...(host === undefined ? [] : [eventLoopCheck(host), ...host.certificates()]),
  ]);
}

export function clusterHealth(node: QuoralNode): ClusterHealth {
  const share = ringShareWithQuorum(node);
  const percent = `${(share * 100).toFixed(1)} % of the ring has a quorum of owners that can be reached and vouch for it`;
  const absent = (node.chain.facts()?.ring.members ?? [])
    .filter(({ id, state }) => state !== 'removed' && !isUp(node, id))
    .map(({ id }) => id);
  const names = absent.length === 0 ? '' : `; not reached: ${absent.join(', ')}`;
  return { ok: share === 1, share, checks: [{ name: 'quorum', ok: share === 1, detail: `${percent}${names}` }] };
}

/** 0 before the cluster is founded. This node counts only while it serves. */
export function ringShareWithQuorum(node: QuoralNode): number {
  const facts = node.chain.facts();
  return facts === undefined ? 0 : quorumShare(facts, (id) => isUp(node, id));
}

function isUp(node: QuoralNode, id: NodeId): boolean {
  return id === node.options.id ? node.ready() : node.peers.answers(id);
}

function health(checks: readonly Check[]): Health {
  return { ok: checks.every(({ ok }) => ok), checks };
}

function stoppingCheck({ stopping }: HostHealth): Check {
  return { name: 'process', ok: !stopping(), detail: stopping() ? 'stopping' : 'runs' };
}

/** A full disk still reads, but writes have to go elsewhere: other nodes serve better. */
function diskCheck(node: QuoralNode): Check {
  const failure = node.world.disk.failure();
  const detail = failure === undefined ? 'writable' : `${failure.kind}: ${failure.message}`;
  return { name: 'disk', ok: failure === undefined, detail };
}

function diskSpaceCheck(node: QuoralNode, { diskFreeWarning }: HostHealth): Check {
  const free = node.world.disk.freeBytes();
  const known = Number.isFinite(free);
  const detail = known ? `${mebibytes(free)} free; a warning below ${mebibytes(diskFreeWarning)}` : 'not known';
  return { name: 'disk-space', ok: true, ...(free < diskFreeWarning ? { warning: true } : {}), detail };
}

function epochCheck(node: QuoralNode): Check {
  const facts = node.chain.facts();
  if (facts === undefined) return { name: 'epoch', ok: false, detail: 'no epoch is known here yet' };
  const confirmed = node.chain.confirmed();
  const detail = `epoch ${facts.epoch} is ${confirmed ? '' : 'not yet '}confirmed by a majority`;
  return { name: 'epoch', ok: confirmed, detail };
}

function memberCheck(node: QuoralNode): Check {
  const state = node.member()?.state;
  return { name: 'member', ok: state === 'active', detail: state ?? 'not a member' };
}

/** The very reason that data requests would be refused with. */
function servingCheck(node: QuoralNode): Check {
  const refusal = node.notReadyReason();
  return { name: 'serving', ok: refusal === undefined, detail: refusal ?? 'data requests are served' };
}

/** Absent peers are the others' trouble: this node serves on. */
function peersCheck(node: QuoralNode): Check {
  const others = (node.chain.facts()?.ring.members ?? []).filter(
    ({ id, state }) => id !== node.options.id && state !== 'removed',
  );
  const absent = others.filter(({ id }) => !node.peers.answers(id));
  const why = absent.map(({ id }) => `; ${id}: ${node.messaging.trouble(id) ?? 'does not answer'}`);
  const detail = `${others.length - absent.length} of ${others.length} can be reached${why.join('')}`;
  return { name: 'peers', ok: true, ...(absent.length > 0 ? { warning: true } : {}), detail };
}

/** Whether it is this node's own clock that is wrong `serving` says. */
function clocksCheck(node: QuoralNode): Check {
  const { clocks } = node.membership;
  const { warnFrom } = node.options.membership.clocks;
  const apart = clocks.apartBy(warnFrom).map(({ id, difference }) => `${id} is ${aheadOf(difference, 'this node')}`);
  const lead = node.hybridClockLead();
  if (lead > warnFrom) apart.push(`the times that this node gives its writes are ${aheadOf(lead, 'its clock')}`);
  const detail = apart.length === 0 ? `at most ${warnFrom} ms apart, as far as members answer` : apart.join('; ');
  return { name: 'clocks', ok: true, ...(apart.length > 0 ? { warning: true } : {}), detail };
}

function eventLoopCheck({ eventLoopDelay, eventLoopDelayWarning }: HostHealth): Check {
  const delay = eventLoopDelay();
  const detail = `at most ${Math.round(delay)} ms late in the last ten seconds`;
  return { name: 'event-loop', ok: true, ...(delay > eventLoopDelayWarning ? { warning: true } : {}), detail };
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / 1024 ** 2)} MiB`;
}
