/**
 * A dead member that alone owned something is replaced while others crash, come back and are cut off. Whatever is acknowledged
 * after its death is there in the end, with one replica as with three: only what was its own before may be gone.
 */

import { expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import type { PlanView } from '#operator/ring-plans.ts';
import { SeededRandom } from '#world/simulated/random.ts';
import { SimulatedCluster } from './cluster.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const STEPS = 140;
const LIVE = ['n1', 'n2', 'n3', 'n5'];

/** What happens to one cluster, as chance has it. */
class Story {
  readonly cluster: SimulatedCluster;
  readonly acknowledged = new Map<string, string>();
  readonly #random: SeededRandom;
  #down: string | undefined;

  constructor(cluster: SimulatedCluster, seed: string) {
    this.cluster = cluster;
    this.#random = new SeededRandom(seed);
  }

  async send(method: string, path: string, body?: unknown): Promise<readonly [number, string]> {
    const options = body === undefined ? {} : { headers: JSON_TYPE, body: JSON.stringify(body) };
    const answer = await this.cluster.request('n1', method, path, options);
    return [answer.status, new TextDecoder().decode(answer.body)];
  }

  async must(method: string, path: string, body?: unknown): Promise<string> {
    const [status, text] = await this.send(method, path, body);
    expect([status < 300, text]).toEqual([true, expect.anything()]);
    return text;
  }

  async run(ms: number): Promise<void> {
    await this.cluster.simulation.run(this.cluster.simulation.now + ms);
  }

  /** n4 is dead, and n5 waits to take its place. */
  async begin(): Promise<void> {
    await this.must('PUT', '/v1/buckets/one', { n: 1 });
    for (let i = 0; i < 20; i++) await this.cluster.request('n1', 'PUT', `/v1/kv/one/old${i}`, { body: 'old' });
    await this.cluster.simulation.settle(this.cluster.start(this.cluster.add('n5', ['n1:7201', 'n2:7201'])));
    await this.run(4000);
    this.cluster.crash(this.cluster.machine('n4'));
    await this.run(10_000);
  }

  async replace(more: object): Promise<void> {
    const { id } = JSON.parse(
      await this.must('POST', '/v1/ring/plans', { replace: { n4: 'n5' }, ...more }),
    ) as PlanView;
    await this.must('POST', `/v1/ring/plans/${id}/apply`);
  }

  /** One node at a time is down, or is cut off from another one; n1 is where the operator sits. */
  async trouble(): Promise<void> {
    const { cluster } = this;
    const [one, other] = [this.#pick(LIVE), this.#pick(LIVE)];
    switch (this.#random.uint32() % 8) {
      case 0:
        if (this.#down !== undefined || one === 'n1') return;
        this.#down = one;
        cluster.crash(cluster.machine(one));
        return;
      case 1:
        await this.restart();
        return;
      case 2:
        if (one !== other) cluster.network.partition(cluster.machine(one).host, cluster.machine(other).host);
        return;
      case 3:
        cluster.network.clearFaults();
        return;
      default:
        await this.run(this.#random.uint32() % 1500);
    }
  }

  async write(step: number, buckets: readonly string[]): Promise<void> {
    const through = this.#pick(LIVE.filter((id) => id !== this.#down && id !== 'n5'));
    const path = `/v1/kv/${this.#pick(buckets)}/k${step}`;
    const { status } = await this.cluster.request(through, 'PUT', path, { body: utf8(`value ${step}`) });
    if (status === 204) this.acknowledged.set(path, `value ${step}`);
  }

  async restart(): Promise<void> {
    if (this.#down !== undefined)
      await this.cluster.simulation.settle(this.cluster.start(this.cluster.machine(this.#down)));
    this.#down = undefined;
  }

  /** All but the dead one are well again. */
  async heal(): Promise<void> {
    this.cluster.network.clearFaults();
    await this.restart();
    await this.run(20_000);
  }

  /** The change comes to its end, and everything that was acknowledged is there. */
  async end(): Promise<void> {
    const ring = () => this.cluster.running('n1').node.chain.facts()!.ring;
    const latest = this.cluster.simulation.now + 180_000;
    await this.cluster.simulation.run(() => ring().change === undefined || this.cluster.simulation.now > latest);
    expect(ring().change).toBeUndefined();
    const states = ring().members.map(({ id, state }) => `${id} ${state}`);
    expect(states.join(', ')).toBe('n1 active, n2 active, n3 active, n4 removed, n5 active');
    await this.run(60_000);
    for (const [path, value] of this.acknowledged) {
      const { status, body } = await this.cluster.request(this.#pick(LIVE), 'GET', path);
      expect([path, status, new TextDecoder().decode(body)]).toEqual([path, 200, value]);
    }
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.uint32() % from.length]!;
  }
}

test.each(['a', 'b', 'c'])('its loss is accepted: %s', async (seed) => {
  const story = new Story(await SimulatedCluster.founded({ seed, nodes: 4 }), seed);
  await story.begin();
  await story.replace(seed === 'c' ? {} : { acceptLossOf: ['n4'] });
  for (let step = 0; step < STEPS; step++) {
    if (step === 60 && seed === 'c') await story.send('POST', '/v1/ring/transfers/resume', { acceptLossOf: ['n4'] });
    await story.trouble();
    await story.write(step, ['one', 'b']);
  }
  await story.heal();
  if (seed === 'c') await story.send('POST', '/v1/ring/transfers/resume', { acceptLossOf: ['n4'] });
  await story.end();
  expect(story.acknowledged.size).toBeGreaterThan(STEPS / 3);
});

test.each(['d', 'e'])('the bucket is dropped on the way: %s', async (seed) => {
  const story = new Story(await SimulatedCluster.founded({ seed, nodes: 4 }), seed);
  await story.begin();
  await story.replace({});
  for (let step = 0; step < STEPS; step++) {
    if (step === 50) await story.send('DELETE', '/v1/buckets/one');
    await story.trouble();
    await story.write(step, ['b']);
  }
  await story.heal();
  await story.must('DELETE', '/v1/buckets/one');
  await story.end();
  await story.must('PUT', '/v1/buckets/one', { n: 1 });
  for (let i = 0; i < 20; i++) {
    expect((await story.send('GET', `/v1/kv/one/old${i}`))[0]).toBe(404);
    story.acknowledged.clear();
    await story.write(i, ['one']);
    expect(story.acknowledged.size).toBe(1);
  }
});
