/**
 * Members of a cluster without its data: this room over the real wire room, in a simulated world. Fast enough for fifty.
 */

import { utf8 } from '#kernel/bytes.ts';
import { clusterId, nodeId, nodeIndex, storageId, type NodeId } from '#kernel/identity.ts';
import { MEMBERSHIP_TABLES } from '#membership/boot-records.ts';
import { Membership } from '#membership/membership.ts';
import { Reachability } from '#membership/reachability.ts';
import { DEFAULT_MEMBERSHIP_SETTINGS } from '#membership/settings.ts';
import type { Member } from '#ring/ring.ts';
import type { Messaging } from '#wire/messaging.ts';
import { createMessaging } from '#wire/peers.ts';
import { SimulatedMedium } from '#world/simulated/disk-medium.ts';
import { openSimulatedDisk } from '#world/simulated/disk.ts';
import { SimulatedHost } from '#world/simulated/host.ts';
import { simulatedClock } from '#world/simulated/clock.ts';
import { SimulatedLog } from '#world/simulated/log.ts';
import type { Latency } from '#world/simulated/links.ts';
import { SimulatedNetwork } from '#world/simulated/network.ts';
import { Simulation } from '#world/simulated/scheduler.ts';
import { simulatedWorld, type SimulatedWorld } from '#world/simulated/world.ts';

/** As a disk has them, but none of boots before. */
class Marks {
  #last = 0;

  of(): number {
    return this.#last;
  }

  async raise(): Promise<void> {
    this.#last += 1;
  }
}

export interface VirtualMember {
  readonly id: NodeId;
  readonly host: SimulatedHost;
  readonly medium: SimulatedMedium;
  boot: number;
  lives: readonly number[];
  world: SimulatedWorld;
  messaging: Messaging;
  membership: Membership;
  peers: Reachability;
}

export class VirtualMembers {
  readonly simulation: Simulation;
  readonly network: SimulatedNetwork;
  readonly log = new SimulatedLog();
  readonly members: readonly VirtualMember[];
  readonly #ring: readonly Member[];

  constructor(count: number, seed: number | string, latency?: Latency) {
    this.simulation = new Simulation({ seed });
    this.network = new SimulatedNetwork(this.simulation, latency);
    this.#ring = Array.from({ length: count }, (_, i) => ({
      index: nodeIndex(i),
      id: nodeId(`n${i + 1}`),
      storageId: storageOf(i),
      peer: `n${i + 1}:1`,
      url: '',
      zone: 'default',
      weight: 1,
      state: 'active',
    }));
    this.members = this.#ring.map(({ id }) => {
      const host = new SimulatedHost(this.simulation, id);
      const member = { id, host, medium: new SimulatedMedium(), boot: 0, lives: [] as readonly number[] };
      return member as unknown as VirtualMember;
    });
  }

  /** All started, each in the midst of its work. */
  static async started(
    count: number,
    seed: number | string,
    warmUp = 3000,
    latency?: Latency,
  ): Promise<VirtualMembers> {
    const members = new VirtualMembers(count, seed, latency);
    for (const member of members.members) await members.start(member);
    await members.pass(warmUp);
    return members;
  }

  /** A new process on the member's disk. */
  async start(member: VirtualMember): Promise<void> {
    const index = this.members.indexOf(member);
    const process = member.host.start();
    const clock = simulatedClock(process);
    const { medium } = member;
    const disk = openSimulatedDisk({ medium, tables: MEMBERSHIP_TABLES, clock, random: process.random.fork('disk') });
    process.onEnd(() => disk.crash());
    const address = `${member.id}:1`;
    const world = simulatedWorld({ process, network: this.network, address, disk, log: this.log });
    member.boot += 1;
    member.lives = [world.random.uint32(), ...member.lives];
    const cluster = clusterId('c'.repeat(32));
    const self = { id: member.id, storageId: storageOf(index), clusterId: cluster, foundersText: '' };
    const messaging = createMessaging({ world, self, secret: utf8('secret'), epoch: () => 1 });
    const membership = new Membership({
      world,
      messaging,
      self: member.id,
      boots: { storageId: storageOf(index), boot: member.boot, lives: member.lives, marks: new Marks() },
      incarnation: clock.wall(),
      epoch: () => 1,
      heardEpoch: () => undefined,
      settings: DEFAULT_MEMBERSHIP_SETTINGS,
    });
    const peers = new Reachability({ world, messaging, membership, work: ['membership.exchange'] });
    const others = this.#ring.filter(({ id }) => id !== member.id);
    messaging.setPeers(others.map(({ id, peer }) => ({ id, address: peer })));
    membership.setMembers(
      this.#ring,
      this.#ring.slice(0, 7).map(({ index: voter }) => voter),
    );
    Object.assign(member, { world, messaging, membership, peers });
    await this.simulation.settle(messaging.start());
    membership.start();
  }

  async pass(milliseconds: number): Promise<void> {
    await this.simulation.run(this.simulation.now + milliseconds);
  }

  /** Milliseconds until the condition holds. */
  async until(condition: () => boolean, limit = 60_000): Promise<number> {
    const from = this.simulation.now;
    await this.simulation.run(condition, limit);
    return this.simulation.now - from;
  }

  others(member: VirtualMember): readonly VirtualMember[] {
    return this.members.filter((other) => other !== member);
  }

  /** What others believe of the member, each belief once. */
  beliefsOf(member: VirtualMember, among: readonly VirtualMember[] = this.others(member)): ReadonlySet<string> {
    return new Set(among.map((other) => other.membership.standing(member.id)));
  }

  allUsable(): boolean {
    return this.members.every((a) => this.others(a).every((b) => a.peers.usable(b.id)));
  }

  /** Verdicts that anybody has reached of anybody so far. */
  verdicts(standing: 'suspect' | 'dead' | 'alive'): number {
    const count = ({ world }: VirtualMember): number =>
      world.metrics.value('quoral_member_verdicts_total', { standing });
    return this.members.reduce((sum, member) => sum + count(member), 0);
  }
}

function storageOf(index: number): ReturnType<typeof storageId> {
  return storageId(index.toString(16).padStart(32, '0'));
}
