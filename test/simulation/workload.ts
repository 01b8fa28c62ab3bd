/**
 * The clients. Each sends one request after the other, to any node, at any consistency level: blind writes, writes after a
 * read, with the context of just now, with one from long ago or with none, deletes and re-creations, and sets that grow by
 * read-modify-write. Some wait for their answers, some turn away early, and then try something else, or, when the write has
 * an idempotency key, send it again to another node.
 */

import { present } from '#kernel/assert.ts';
import type { SeededRandom } from '#world/simulated/random.ts';
import type { Simulation } from '#world/simulated/scheduler.ts';
import { heardOfRead, heardOfWrite, valueOf } from './answers.ts';
import type { ReadHeard, WriteHeard } from './answers.ts';
import type { Machine, SimulatedCluster } from './cluster.ts';
import { exchange, type HttpRequest, type Reply } from './exchange.ts';
import type { BucketFacts, WriteId } from './history.ts';
import { LateCopies } from './late-copies.ts';
import { levelsFor } from './levels.ts';
import type { Level } from './levels.ts';
import { ClientSession } from './client-session.ts';
import type { Recorder, WriteBegun } from './recorder.ts';

/** What the clients would do if the nodes could. */
export const WORKLOADS_OFF: Readonly<Record<string, string>> = {};

/** What the clients do with the keys of a bucket. */
export type Use = 'register' | 'set';

export interface WorkloadBucket {
  readonly name: string;
  readonly use: Use;
  readonly facts: BucketFacts;
  /** As the node is asked to define it. */
  readonly properties: Readonly<Record<string, unknown>>;
}

export interface Workload {
  readonly cluster: SimulatedCluster;
  readonly recorder: Recorder;
  readonly random: SeededRandom;
  readonly buckets: readonly WorkloadBucket[];
  readonly clients: number;
  /** Mean of the virtual milliseconds between an answer and the client's next request. */
  readonly thinkTime: number;
  /** Requests of all clients together, at most. */
  readonly operationsMax: number;
  /** When keys are left and new ones taken, in virtual milliseconds. */
  readonly keyLifetime: number;
  /** Of 100 requests, how many the client does not wait for. */
  readonly impatience: number;
  readonly crashed: (error: unknown) => void;
  /** What clients ask for; all levels that there are without it. */
  readonly levels?: (facts: BucketFacts) => readonly Level[];
  /** Whom clients ask; everybody without it. */
  readonly serves?: (machine: Machine) => boolean;
  readonly note?: (client: string, what: string) => void;
}

/** Keys of one bucket that are written to at once. */
const KEYS_AT_ONCE = 3;
const TIMEOUTS = [300, 1000, 2000, 5000];
/** How long a client waits beyond the deadline before it concludes that no answer will come. */
const GRACE_MS = 1000;
const LARGE_VALUE = 70 * 1024;
/** Of the writes, how many have an idempotency key. */
const KEYED = 0.3;
/** How often one of those is sent, at most, and how often again although it was answered. */
const ATTEMPTS_MAX = 4;
const AGAIN_ALTHOUGH_APPLIED = 0.25;
/** Of the clients, how many work in sessions; and how often one begins a new one. */
const IN_SESSION = 0.5;
const NEW_SESSION = 0.02;

/** What a client knows of a key. */
interface Knowledge {
  readonly context: string;
  readonly covers: readonly WriteId[];
}

export interface Write {
  readonly kind: 'put' | 'delete';
  readonly level: Level;
  readonly timeout: number;
  /** Sent as the context; nothing without it. */
  readonly knowledge?: Knowledge | undefined;
  /** What the set has got beside the new element. */
  readonly elements?: readonly WriteId[];
  /** Passes only while this is the one value there, or while there is none. */
  readonly condition?: { readonly write: WriteId; readonly etag: string } | 'absent';
  /** Whether it has an idempotency key, so that it may be sent again. */
  readonly keyed?: boolean;
}

/** A write as it is sent, once or several times. */
export interface ComposedWrite {
  readonly target: Target;
  readonly what: Write;
  readonly write: WriteId;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly elements: readonly WriteId[] | null;
}

export interface Target {
  readonly bucket: WorkloadBucket;
  readonly key: string;
}

export class Clients {
  readonly #workload: Workload;
  readonly #simulation: Simulation;
  readonly #levels: ReadonlyMap<string, readonly Level[]>;
  /** Of a value in a set: what is in the set. */
  readonly #elements = new Map<WriteId, readonly WriteId[]>();
  readonly #written = new Set<string>();
  readonly #list: Target[] = [];
  #operations = 0;
  #stopping = false;

  constructor(workload: Workload) {
    this.#workload = workload;
    this.#simulation = workload.cluster.simulation;
    const { levels = levelsFor } = workload;
    this.#levels = new Map(workload.buckets.map(({ name, facts }) => [name, levels(facts)]));
  }

  /** Every key that was ever written to. */
  get targets(): readonly Target[] {
    return this.#list;
  }

  /** One of them; undefined when there is none yet. */
  someTarget(random: SeededRandom): Target | undefined {
    return this.#list[random.below(this.#list.length)];
  }

  bucket(name: string): WorkloadBucket {
    return present(
      this.#workload.buckets.find((bucket) => bucket.name === name),
      `bucket ${name}`,
    );
  }

  /** Lets all clients begin. Resolves when each has had the answer to its last request. */
  async run(): Promise<void> {
    const names = Array.from({ length: this.#workload.clients }, (_, i) => `c${i + 1}`);
    await Promise.all(names.map(async (name) => await new Client(this, this.#workload, name).run()));
  }

  /** No client begins anything new. */
  stop(): void {
    this.#stopping = true;
  }

  /** Whether one more operation may begin; then it counts. */
  begin(): boolean {
    if (this.#stopping || this.#operations >= this.#workload.operationsMax) return false;
    this.#operations += 1;
    return true;
  }

  levels(bucket: string): readonly Level[] {
    return present(this.#levels.get(bucket), `levels of ${bucket}`);
  }

  elementsOf(values: readonly WriteId[]): readonly WriteId[] {
    return [...new Set(values.flatMap((value) => this.#elements.get(value) ?? []))];
  }

  willWrite({ bucket, key }: Target, write: WriteId, elements: readonly WriteId[] | null): void {
    const name = `${bucket.name}/${key}`;
    if (!this.#written.has(name)) this.#list.push({ bucket, key });
    this.#written.add(name);
    if (elements !== null) this.#elements.set(write, elements);
  }

  sleep(milliseconds: number, what: string): Promise<void> {
    return new Promise((resolve) => {
      this.#simulation.schedule(milliseconds, what, resolve);
    });
  }
}

export class Client {
  readonly #clients: Clients;
  readonly #workload: Workload;
  readonly #name: string;
  readonly #random: SeededRandom;
  readonly #knowledge = new Map<string, Knowledge>();
  readonly #copies: LateCopies;
  #session: ClientSession | undefined;
  #writes = 0;

  constructor(clients: Clients, workload: Workload, name: string) {
    this.#clients = clients;
    this.#workload = workload;
    this.#name = name;
    this.#random = workload.random.fork(name);
    this.#copies = new LateCopies(workload.cluster, workload.random.fork(`copies of ${name}`), workload.crashed);
  }

  async run(): Promise<void> {
    if (this.#random.chance(IN_SESSION)) this.beginSession();
    for (;;) {
      await this.#clients.sleep(this.#random.exponential(this.#workload.thinkTime), 'client thinks');
      if (!this.#clients.begin()) return;
      if (this.#random.chance(NEW_SESSION)) this.#session?.renew();
      const target = this.#target();
      if (target.bucket.use === 'set') await this.#grow(target);
      else await this.#useRegister(target);
    }
  }

  /** From now on all that it does belongs to a session. */
  beginSession(): void {
    this.#session = new ClientSession(this.#name);
  }

  /** What it was shown last of the key, with the context of that. */
  knowledgeOf({ bucket, key }: Target): Knowledge | undefined {
    return this.#knowledge.get(`${bucket.name}/${key}`);
  }

  /** One read at the node. */
  async read({ bucket, key }: Target, machine: Machine, level: Level, timeout: number): Promise<ReadHeard> {
    const end = this.#workload.recorder.read({
      ...this.#facts(bucket, key, machine, timeout),
      kind: 'read',
      quorum: level.read,
    });
    const path = pathOf(bucket, key, level, timeout);
    const request = { method: 'GET', target: path, headers: { accept: 'application/json' } };
    const heard = heardOfRead(await this.#send(machine, request, timeout));
    end(heard);
    if (heard.context !== null && heard.shown !== null) {
      this.#knowledge.set(`${bucket.name}/${key}`, { context: heard.context, covers: heard.shown });
    }
    this.#note(
      `GET ${bucket.name}/${key}?${level.query} at ${machine.id}: ${heard.answer} [${heard.shown?.join() ?? ''}]`,
    );
    return heard;
  }

  /** One write at the node. */
  async write(target: Target, machine: Machine, what: Write): Promise<WriteHeard> {
    return await this.attempt(this.compose(target, what), machine, what.timeout);
  }

  compose(target: Target, what: Write): ComposedWrite {
    const { kind, knowledge, condition, keyed } = what;
    const write = `${this.#name}.${++this.#writes}`;
    const elements = what.elements === undefined ? null : [...what.elements, write];
    this.#clients.willWrite(target, write, elements);
    const headers = {
      'x-request-id': write,
      ...(keyed === true ? this.#keyHeaders(target) : {}),
      ...(knowledge === undefined ? {} : { 'quoral-context': knowledge.context }),
      ...(condition === undefined
        ? {}
        : condition === 'absent'
          ? { 'if-none-match': '*' }
          : { 'if-match': condition.etag }),
    };
    const body = kind === 'put' ? valueOf(write, this.#padding()) : undefined;
    return { target, what, write, headers, body, elements };
  }

  /** One write after the other: all earlier ones are over. */
  #keyHeaders({ bucket }: Target): Record<string, string> {
    const number = String(this.#writes);
    const key = { 'idempotency-key': `${this.#name}:${number}` };
    return bucket.facts.mode === 'strong' ? { ...key, 'quoral-answered-below': number } : key;
  }

  /** Sends the write to the node, for the first time or again. */
  async attempt(composed: ComposedWrite, machine: Machine, timeout: number): Promise<WriteHeard> {
    const { target, what, write, headers, body, elements } = composed;
    const { bucket, key } = target;
    const { kind, level, knowledge, keyed } = what;
    const end = this.#workload.recorder.write({
      ...this.#facts(bucket, key, machine, timeout),
      ...intent(what),
      kind,
      write,
      quorum: level.write,
      idempotencyKey: keyed === true ? write : null,
      elements,
    });
    const method = kind === 'put' ? 'PUT' : 'DELETE';
    const path = pathOf(bucket, key, level, timeout);
    const request = { method, target: path, headers, ...(body === undefined ? {} : { body }) };
    const heard = heardOfWrite(await this.#send(machine, request, timeout));
    end(heard);
    if (heard.outcome === 'applied' && 'quoral-answered-below' in headers) this.#copies.consider(request);
    if (heard.context !== null) {
      this.#knowledge.set(`${bucket.name}/${key}`, { context: heard.context, covers: [write] });
    }
    const seen = knowledge === undefined ? '' : ` having seen [${knowledge.covers.join()}]`;
    this.#note(
      `${method} ${write} ${bucket.name}/${key}?${level.query} at ${machine.id}${seen}: ${heard.outcome} ${heard.answer}`,
    );
    return heard;
  }

  async #useRegister(aim: Target): Promise<void> {
    const chance = this.#random.below(100);
    if (chance < 35) {
      await this.#readSomewhere(aim);
    } else if (chance < 55) {
      // Reads, and writes with what it has just been shown.
      const heard = await this.#readSomewhere(aim);
      if (heard.shown === null) return;
      await this.#writeSomewhere(aim, this.#putOr('delete', 0.25), { knowledge: this.knowledgeOf(aim) });
    } else if (chance < 62) {
      await this.#writeIf(aim);
    } else if (chance < 77) {
      // With whatever it knew last, however long ago.
      await this.#writeSomewhere(aim, 'put', { knowledge: this.knowledgeOf(aim) });
    } else {
      await this.#writeSomewhere(aim, this.#putOr('delete', 0.3), {});
    }
  }

  /** Reads, and writes on the condition that all is still so. */
  async #writeIf(aim: Target): Promise<void> {
    const { shown, etag } = await this.#readSomewhere(aim);
    if (shown?.length === 0) await this.#writeSomewhere(aim, 'put', { condition: 'absent' });
    if (shown?.length !== 1 || etag === null) return;
    await this.#writeSomewhere(aim, this.#putOr('delete', 0.25), { condition: { write: shown[0]!, etag } });
  }

  /** Adds an element to the union of all siblings that it is shown; or to what it remembers; or to nothing. */
  async #grow(aim: Target): Promise<void> {
    if (this.#random.chance(0.8)) {
      const heard = await this.#readSomewhere(aim);
      if (heard.shown === null) return;
    }
    const knowledge = this.#random.chance(0.9) ? this.knowledgeOf(aim) : undefined;
    const elements = this.#clients.elementsOf(knowledge?.covers ?? []);
    await this.#writeSomewhere(aim, 'put', { knowledge, elements });
  }

  async #readSomewhere(aim: Target): Promise<ReadHeard> {
    return await this.read(aim, this.#machine(), this.#level(aim), this.#timeout());
  }

  async #writeSomewhere(
    aim: Target,
    kind: Write['kind'],
    more: Pick<Write, 'knowledge' | 'elements' | 'condition'>,
  ): Promise<void> {
    const keyed = this.#random.chance(KEYED);
    const composed = this.compose(aim, { ...more, kind, keyed, level: this.#level(aim), timeout: this.#timeout() });
    let heard = await this.attempt(composed, this.#machine(), composed.what.timeout);
    for (let attempts = 1; keyed && attempts < ATTEMPTS_MAX; attempts++) {
      if (heard.preconditionFailed) return;
      if (heard.outcome === 'applied' && !this.#random.chance(AGAIN_ALTHOUGH_APPLIED)) return;
      await this.#clients.sleep(this.#random.exponential(this.#workload.thinkTime), 'client sends again');
      if (!this.#clients.begin()) return;
      heard = await this.attempt(composed, this.#machine(), this.#timeout());
    }
  }

  #putOr(other: 'delete', probability: number): Write['kind'] {
    return this.#random.chance(probability) ? other : 'put';
  }

  async #send(machine: Machine, request: HttpRequest, timeout: number): Promise<Reply> {
    const { cluster, crashed, impatience } = this.#workload;
    const turnsAway = this.#random.below(100) < impatience;
    const patience = turnsAway ? this.#random.exponential(20) : timeout + GRACE_MS;
    const client = { simulation: cluster.simulation, random: this.#random, crashed };
    const reply = await exchange(client, machine, this.#inSession(request), patience);
    if (this.#session?.hear(reply) === false) crashed(new Error(`an answer without a token: ${request.target}`));
    // Whoever turns away early has broken the connection himself.
    return turnsAway && reply.kind === 'gave-up' ? { kind: 'connection-lost', sent: true } : reply;
  }

  #inSession(request: HttpRequest): HttpRequest {
    if (this.#session === undefined) return request;
    return { ...request, target: `${request.target}&${this.#session.query}` };
  }

  #facts(bucket: WorkloadBucket, key: string, machine: Machine, timeout: number) {
    return {
      client: this.#name,
      session: this.#session?.id ?? null,
      bucket: bucket.name,
      key,
      node: machine.id,
      deadline: this.#workload.cluster.simulation.now + timeout,
    };
  }

  #target(): Target {
    const { buckets, cluster, keyLifetime } = this.#workload;
    const bucket = buckets[this.#random.below(buckets.length)]!;
    const era = Math.floor(cluster.simulation.now / keyLifetime);
    // Now and then a key of earlier times.
    const then = this.#random.chance(0.05) ? this.#random.below(era + 1) : era;
    return { bucket, key: `k${then * KEYS_AT_ONCE + this.#random.below(KEYS_AT_ONCE)}` };
  }

  /** Mostly one that runs: clients do not hammer closed doors. */
  #machine(): Machine {
    const { cluster, serves } = this.#workload;
    const machines = serves === undefined ? cluster.machines : cluster.machines.filter(serves);
    const running = machines.filter((machine) => machine.running !== undefined);
    const among = running.length === 0 || this.#random.chance(0.05) ? machines : running;
    return among[this.#random.below(among.length)]!;
  }

  #level({ bucket }: Target): Level {
    const levels = this.#clients.levels(bucket.name);
    return levels[this.#random.below(levels.length)]!;
  }

  #timeout(): number {
    return TIMEOUTS[this.#random.below(TIMEOUTS.length)]!;
  }

  #padding(): number {
    return this.#random.chance(0.005) ? LARGE_VALUE : this.#random.below(100);
  }

  #note(what: string): void {
    this.#workload.note?.(this.#name, what);
  }
}

/** What the write says of other writes. */
function intent({ knowledge, condition }: Write): Pick<WriteBegun, 'covers' | 'condition'> {
  if (condition === undefined) return { covers: knowledge?.covers ?? null, condition: { kind: 'none' } };
  if (condition === 'absent') return { covers: knowledge?.covers ?? null, condition: { kind: 'absent' } };
  return { covers: [condition.write], condition: { kind: 'replaces', write: condition.write } };
}

function pathOf({ name }: WorkloadBucket, key: string, { query }: Level, timeout: number): string {
  return `/v1/kv/${name}/${key}?timeout=${timeout}${query === '' ? '' : `&${query}`}`;
}
