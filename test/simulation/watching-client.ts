/**
 * A client that watches a bucket of a simulated cluster, as one over a socket would: it takes what is there and asks for more.
 */

import { createApp } from '#api/app.ts';
import { parseTarget } from '#api/raw-path.ts';
import { nodeServices } from '#node-services.ts';
import type { SimulatedCluster } from './cluster.ts';

export interface ToldEvent {
  readonly bucket: string;
  readonly key: string;
  readonly etag: string | null;
  readonly deleted: boolean;
}

const SETTINGS = {
  'value-max': 4 * 1024 * 1024,
  'request-timeout': 5000,
  'requests-max': 4096,
  auth: 'off',
  'metrics-open': false,
  'audit-refusals-max': 10,
} as const;

export class WatchingClient {
  readonly events: ToldEvent[] = [];
  cursor: string | undefined;
  heartbeats = 0;
  /** Why the node has ended the watch. */
  end: string | undefined;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #text = '';
  #paused: Promise<void> | undefined;
  #resume: () => void = () => undefined;

  private constructor(reader: ReadableStreamDefaultReader<Uint8Array>) {
    this.#reader = reader;
    void this.#read();
  }

  static async open(
    cluster: SimulatedCluster,
    id: string,
    bucket: string,
    options: { readonly prefix?: string; readonly cursor?: string | undefined; readonly settles?: false } = {},
  ): Promise<WatchingClient> {
    const { prefix, cursor, settles = true } = options;
    const app = createApp(nodeServices(cluster.running(id).node, SETTINGS));
    const incoming = {
      method: 'GET',
      target: parseTarget(`/v1/watch/${bucket}${prefix === undefined ? '' : `?prefix=${prefix}`}`),
      remote: 'simulated',
      header: (name: string) => (name === 'last-event-id' ? cursor : undefined),
      fields: () => [],
      headerNames: () => [],
      readBody: async () => ({ kind: 'broken' as const }),
    };
    const asked = Promise.resolve(app.fetch(new Request('http://simulated/'), { incoming }));
    const response = await cluster.simulation.settle(asked);
    if (response.status !== 200) throw new Error(`watch: ${response.status} ${await response.text()}`);
    const client = new WatchingClient(response.body!.getReader());
    if (settles) await cluster.simulation.run(cluster.simulation.now + 20);
    return client;
  }

  pause(): void {
    this.#paused = new Promise((resolve) => (this.#resume = resolve));
  }

  resume(): void {
    this.#paused = undefined;
    this.#resume();
  }

  close(): void {
    void this.#reader.cancel();
  }

  /** Whether the versions that were told of come in the order in which they were made, key by key. */
  inOrder(etags: readonly string[]): boolean {
    return [...Map.groupBy(this.events, (event) => event.key).values()].every((events) => {
      const places = events.map(({ etag }) => etags.indexOf(etag ?? '')).filter((place) => place >= 0);
      return places.every((place, i) => i === 0 || places[i - 1]! <= place);
    });
  }

  async #read(): Promise<void> {
    for (;;) {
      await this.#paused;
      const { done, value } = await this.#reader.read();
      if (done) return;
      this.#text += new TextDecoder().decode(value);
      const blocks = this.#text.split('\n\n');
      this.#text = blocks.pop() ?? '';
      for (const block of blocks) this.#take(block);
    }
  }

  #take(block: string): void {
    const fields = new Map(
      block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
    );
    const id = fields.get('id');
    if (id !== undefined) this.cursor = id;
    if (fields.get('') === 'alive') this.heartbeats += 1;
    const data = fields.get('data');
    if (data === undefined) return;
    if (fields.get('event') === 'end') this.end = (JSON.parse(data) as { reason: string }).reason;
    else this.events.push(JSON.parse(data) as ToldEvent);
  }
}
