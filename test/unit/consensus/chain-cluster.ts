/**
 * A cluster of epoch chains in a virtual world, a random history of faults and changes, and the checker of what the chain
 * promises. The checker looks at facts only as they leave a node: on its disk, in its messages, to its listeners.
 */

import { epoch, nodeId, nodeIndex, storageId } from '#kernel/identity.ts';
import type { NodeId, StorageId } from '#kernel/identity.ts';
import { EpochChain } from '#consensus/epoch-chain.ts';
import { factsToWire } from '#consensus/facts-codec.ts';
import type { Facts } from '#consensus/facts.ts';
import type { ProposeResult } from '#consensus/epoch-proposer.ts';
import type { DecidedEpochs } from '#consensus/messages.ts';
import type { Member } from '#ring/ring.ts';
import { encode } from '#wire/codec.ts';
import { Medium, NO_FAULTS, Universe } from './virtual-world.ts';
import type { Faults, Life } from './virtual-world.ts';

export interface TestNode {
  readonly id: NodeId;
  medium: Medium;
  storage: StorageId;
  boot: number;
  life: Life;
  chain: EpochChain | undefined;
  /** The newest epoch that this disk has shown to anybody. */
  shown: number;
}

export interface Scenario {
  readonly seed: number;
  readonly faults: Partial<Faults>;
  /** Disks are lost, one at a time. */
  readonly wipes: boolean;
  /** Members join and leave the voters. */
  readonly voterChanges: boolean;
  /** Milliseconds between disturbances of whole nodes and links, on average. */
  readonly unrest?: number;
  /** Milliseconds of virtual time under faults. */
  readonly duration: number;
}

const SETTINGS = { callTimeout: 40, ownProposalTimeout: 200, backoffFirst: 2, backoffLongest: 40 };
const FOUNDERS = ['n1', 'n2', 'n3'].map((id) => ({ id: nodeId(id), peer: `${id}.test:1` }));
const JOINERS = ['n4', 'n5'].map((id) => ({ id: nodeId(id), peer: `${id}.test:1` }));

interface Operation {
  readonly name: string;
  result: ProposeResult | undefined;
}

export class ChainCluster {
  readonly universe: Universe;
  readonly nodes: TestNode[] = [];
  readonly operations: Operation[] = [];
  /** What the checker found wrong. */
  readonly violations: string[] = [];
  readonly #scenario: Scenario;
  readonly #decided = new Map<number, { readonly bytes: string; readonly facts: Facts }>();
  #storages = 0;
  #calm = false;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.universe = new Universe(scenario.seed);
    this.universe.faults = {
      ...NO_FAULTS,
      loss: 0.1,
      duplication: 0.1,
      delay: 8,
      crashAtCommit: 0.02,
      ...scenario.faults,
    };
    const inspect = this.universe.hub.inspect;
    this.universe.hub.inspect = (name, direction, body, to) => {
      this.#observeMessage(body);
      return inspect(name, direction, body, to);
    };
    for (const { id } of [...FOUNDERS, ...(scenario.voterChanges ? JOINERS : [])]) {
      const life = { alive: false };
      const node = { id, medium: new Medium(), storage: this.#newStorage(), boot: 0, life, chain: undefined, shown: 0 };
      this.nodes.push(node);
      this.start(node);
    }
  }

  /** Faults and changes for the duration, then peace: whether all nodes agree and can change something again. */
  async run(): Promise<void> {
    const { timeline } = this.universe;
    this.#schedule(() => this.#heartbeats(), 25);
    this.#schedule(() => this.#change(), 30);
    this.#schedule(() => this.#disturb(), this.#scenario.unrest ?? 60);
    await timeline.runUntil(this.#scenario.duration, () => this.violations.length > 0);
    if (this.violations.length > 0) return;

    this.#calm = true;
    this.universe.faults = NO_FAULTS;
    this.universe.hub.heal();
    // Crashes that were on their way still happen, and their nodes come back.
    await timeline.runUntil(timeline.now + 300);
    this.#schedule(() => this.#heartbeats(), 25);
    await timeline.runUntil(timeline.now + 20_000, () => this.violations.length > 0 || this.#settled());
    if (!this.#settled()) this.violations.push(`no agreement after the healing: ${this.describe()}`);
    const isMember = ({ id }: TestNode): boolean => this.#newest()!.ring.members.some((member) => member.id === id);
    const members = this.nodes.filter(isMember);
    for (const node of members) this.#propose(node);
    const last = this.operations.slice(-members.length);
    const open = (): boolean => last.some(({ result }) => result === undefined);
    await timeline.runUntil(timeline.now + 10_000, () => !open() && this.#settled());
    for (const { name, result } of last) {
      if (result?.kind !== 'decided')
        this.violations.push(`no progress after the healing: ${name} ${JSON.stringify(result)}`);
    }
    this.#checkOperations();
  }

  start(node: TestNode): void {
    const life = { alive: true };
    node.life = life;
    node.boot++;
    const isFounder = FOUNDERS.some(({ id }) => id === node.id);
    const chain = new EpochChain({
      world: this.universe.world(node.id, node.medium, life, () => this.crash(node)),
      messaging: this.universe.hub.messaging(node.id, life),
      self: {
        id: node.id,
        storageId: node.storage,
        peer: `${node.id}.test:1`,
        url: `http://${node.id}`,
        zone: 'z',
        weight: 1,
      },
      boot: node.boot,
      founders: isFounder ? FOUNDERS : [],
      partitionCount: 2,
      foundingPatience: 100,
      settings: SETTINGS,
    });
    node.chain = chain;
    const known = chain.facts()?.epoch ?? 0;
    if (known < node.shown) this.violations.push(`${node.id} showed epoch ${node.shown} and came back with ${known}`);
    chain.onFacts((facts) => {
      if (facts.epoch <= node.shown) this.violations.push(`${node.id} went from epoch ${node.shown} to ${facts.epoch}`);
      node.shown = facts.epoch;
      this.#observe(facts, node.id);
    });
    chain.start();
  }

  crash(node: TestNode): void {
    node.life.alive = false;
    node.medium.crash(this.universe.dice);
    this.universe.timeline.at(20 + this.universe.dice.below(150), () => this.#revive(node));
  }

  describe(): string {
    return this.nodes
      .map(
        ({ id, life, chain }) =>
          `${id}:${life.alive ? '' : 'dead '}${chain?.facts()?.epoch ?? 0}${chain?.confirmed() ? 'c' : ''}`,
      )
      .join(' ');
  }

  get epochsDecided(): number {
    return this.#decided.size;
  }

  #revive(node: TestNode): void {
    if (!node.life.alive) this.start(node);
  }

  #schedule(run: () => void, every: number): void {
    const calm = this.#calm;
    const { timeline, dice } = this.universe;
    const again = (): void => {
      if (calm !== this.#calm) return;
      run();
      timeline.at(1 + dice.below(2 * every), again);
    };
    timeline.at(dice.below(every), again);
  }

  #heartbeats(): void {
    for (const { id, life, chain } of this.nodes) {
      if (life.alive) this.universe.hub.heartbeat(id, chain?.facts()?.epoch ?? 0);
    }
  }

  #change(): void {
    const { dice } = this.universe;
    const living = this.nodes.filter(({ life, chain }) => life.alive && chain?.facts() !== undefined);
    if (living.length > 0) this.#propose(dice.pick(living));
  }

  #propose(node: TestNode): void {
    const { dice, timeline } = this.universe;
    const operation: Operation = {
      name: `bucket-${String(this.operations.length).padStart(4, '0')}`,
      result: undefined,
    };
    this.operations.push(operation);
    const move = this.#scenario.voterChanges && dice.chance(0.4) ? dice.pick(this.nodes) : undefined;
    const change = (facts: Facts): Facts =>
      withBucket(move === undefined ? facts : withVoter(facts, move), operation.name);
    void node.chain!.propose(change, timeline.now + (this.#calm ? 5000 : 20 + dice.below(300))).then((result) => {
      operation.result = result;
      if (result.kind === 'decided') this.#observe(result.facts, `${node.id} as proposer`);
    });
  }

  #disturb(): void {
    const { dice, hub } = this.universe;
    const node = dice.pick(this.nodes);
    const other = dice.pick(this.nodes);
    switch (dice.below(this.#scenario.wipes ? 7 : 4)) {
      case 0:
        if (node.life.alive) this.crash(node);
        break;
      case 1:
        // One direction only, at times.
        hub.cut.add(`${node.id} ${other.id}`);
        if (dice.chance(0.7)) hub.cut.add(`${other.id} ${node.id}`);
        break;
      case 2:
      case 3:
        hub.heal();
        break;
      default:
        if (this.#mayWipe(node)) this.#wipe(node);
    }
  }

  /** Only while all others know of the founding and have their disks bound: beyond that no protocol can help. */
  #mayWipe(node: TestNode): boolean {
    const newest = this.#newest();
    if (newest === undefined || JOINERS.some(({ id }) => id === node.id)) return false;
    return this.nodes.every(
      ({ id, storage, shown }) =>
        shown > 0 &&
        (id === node.id || newest.ring.members.every((member) => member.id !== id || member.storageId === storage)),
    );
  }

  #newest(): Facts | undefined {
    return this.#decided.get(Math.max(...this.#decided.keys()))?.facts;
  }

  #wipe(node: TestNode): void {
    node.life.alive = false;
    node.medium = new Medium();
    node.storage = this.#newStorage();
    node.boot = 0;
    node.shown = 0;
    this.universe.timeline.at(this.universe.dice.below(150), () => this.#revive(node));
  }

  #newStorage(): StorageId {
    return storageId((++this.#storages).toString(16).padStart(32, '0'));
  }

  #observeMessage(body: unknown): void {
    if (typeof body !== 'object' || body === null) return;
    if ('epochs' in body) for (const facts of (body as DecidedEpochs).epochs) this.#observe(facts, 'a message');
    if ('decided' in body) this.#observeMessage(body.decided);
  }

  #observe(facts: Facts, where: string): void {
    const bytes = Buffer.from(encode(factsToWire(facts))).toString('latin1');
    const known = this.#decided.get(facts.epoch);
    if (known === undefined) this.#decided.set(facts.epoch, { bytes, facts });
    else if (known.bytes !== bytes) this.violations.push(`two values of epoch ${facts.epoch}, the second at ${where}`);
  }

  #settled(): boolean {
    const epochs = new Set(this.nodes.map(({ chain }) => chain?.facts()?.epoch));
    return epochs.size === 1 && !epochs.has(undefined) && this.nodes.every(({ chain }) => chain?.confirmed());
  }

  /** Decided operations are in the newest facts, operations that were said not to be applied are nowhere. */
  #checkOperations(): void {
    const newest = this.nodes[0]!.chain!.facts()!;
    const names = new Set(newest.buckets.map(({ name }) => name));
    for (const { name, result } of this.operations) {
      if (result?.kind === 'decided' && !names.has(name)) this.violations.push(`${name} was decided and is lost`);
      if (result?.kind === 'failed' && result.outcome === 'not-applied' && names.has(name)) {
        this.violations.push(`${name} was said not to be applied and was`);
      }
    }
  }
}

function withBucket(facts: Facts, name: string): Facts {
  const next = epoch(facts.epoch + 1);
  const row = { name, incarnation: 0, version: next, dropped: false, properties: {} };
  return { ...facts, epoch: next, buckets: [...facts.buckets, row].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

/** Takes the node in as a member and voter, or changes whether it votes. At least three voters stay, so that one may lose its disk. */
function withVoter(facts: Facts, node: TestNode): Facts {
  const { ring } = facts;
  const known = ring.members.find(({ id }) => id === node.id);
  const member: Member = known ?? {
    index: nodeIndex(ring.members.length),
    id: node.id,
    storageId: node.storage,
    peer: `${node.id}.test:1`,
    url: `http://${node.id}`,
    zone: 'z',
    weight: 1,
    state: 'joining',
  };
  const votes = ring.voters.includes(member.index);
  if (votes && ring.voters.length <= 3) return facts;
  const voters = votes ? ring.voters.filter((index) => index !== member.index) : [...ring.voters, member.index];
  const members = known === undefined ? [...ring.members, member] : ring.members;
  return { ...facts, ring: { ...ring, members, voters: voters.sort((a, b) => a - b) } };
}
