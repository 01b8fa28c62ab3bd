/** A replica's rows with the trees beside them, on a simulated disk. */

import { expect } from 'vitest';
import { decodeState, encodeState } from '#causality/state-codec.ts';
import type { State } from '#causality/state.ts';
import { utf8 } from '#kernel/bytes.ts';
import { LEAVES } from '#repair/merkle-tree.ts';
import { TREE_TABLES } from '#repair/tree-tables.ts';
import { MerkleTrees } from '#repair/trees.ts';
import { GroupCommit } from '#replica/group-commit.ts';
import { Records } from '#replica/records.ts';
import { recordKey, RECORDS, REPLICA_TABLES } from '#replica/tables.ts';
import type { SimulatedMedium } from '#world/simulated/disk-medium.ts';
import { OneMachine, type OneProcess } from '../replica/worlds.ts';

export const SECRET = utf8('the secret of a test cluster');

export class TreeStore {
  readonly place = { n: 3, partition: 7, bucket: 'b', incarnation: 0 };
  readonly #machine = new OneMachine([...REPLICA_TABLES, ...TREE_TABLES]);
  readonly #logChangesMax: number | undefined;
  world: OneProcess;
  trees: MerkleTrees;
  #records: Records;
  #commits: GroupCommit;

  constructor(options: { readonly logChangesMax?: number } = {}) {
    this.#logChangesMax = options.logChangesMax;
    this.world = this.#machine.boot();
    ({ trees: this.trees, records: this.#records, commits: this.#commits } = this.#open(SECRET));
  }

  get medium(): SimulatedMedium {
    return this.#machine.medium;
  }

  crash(secret: Uint8Array = SECRET): void {
    this.#machine.host.kill();
    this.world = this.#machine.boot();
    ({ trees: this.trees, records: this.#records, commits: this.#commits } = this.#open(secret));
  }

  write(key: string, state: State, refused = false): void {
    this.#submit(key, (transaction, before) => {
      const after = { state, encoded: encodeState(state, this.world.digest.crc32) };
      this.#records.write(transaction, this.place, utf8(key), before, after);
      if (refused) throw new Error('refused after it was written');
    });
  }

  remove(key: string): void {
    this.#submit(key, (transaction, before) => {
      if (before !== undefined) this.#records.remove(transaction, this.place, utf8(key), before);
    });
  }

  forget(key: string): void {
    this.#submit(key, (transaction) => this.#records.forget(transaction, this.place, utf8(key)));
  }

  async writeToFullDisk(key: string, state: State): Promise<void> {
    await this.settle();
    this.medium.capacityBytes = 1;
    this.write(key, state);
    await this.pass(100);
    this.medium.capacityBytes = Number.POSITIVE_INFINITY;
  }

  recheck(key: string): void {
    const { bucket, incarnation } = this.place;
    this.#submit(key, (transaction) =>
      this.trees.recheck(transaction, this.place, recordKey(bucket, incarnation, utf8(key))),
    );
  }

  metric(name: string): number {
    return this.world.metrics.value(name);
  }

  async settle(): Promise<void> {
    await this.#machine.simulation.settle(this.#commits.drain());
  }

  async pass(milliseconds: number): Promise<void> {
    await this.#machine.simulation.run(this.#machine.simulation.now + milliseconds);
  }

  expectExact(): void {
    const { disk, digest } = this.world;
    const tree = this.trees.tree(this.place);
    let high = 0;
    let low = 0;
    for (const [rowKey, row] of disk.range(RECORDS, { limit: 100_000 })) {
      const hash = this.trees.hash.stateHash(this.trees.hash.keyHash(rowKey), decodeState(row, digest.crc32));
      high ^= hash.high;
      low ^= hash.low;
    }
    expect(tree.root()).toEqual({ high: high >>> 0, low: low >>> 0 });
    const keys = this.trees.index.entries(disk, this.place, [0, LEAVES], 100_000).length;
    expect(keys).toBe(disk.range(RECORDS, { limit: 100_000 }).length);
  }

  #submit(key: string, run: (transaction: Parameters<Records['write']>[0], before: State | undefined) => void): void {
    const submitted = this.#commits.submit({
      run: (transaction) => {
        const row = transaction.get(RECORDS, recordKey(this.place.bucket, this.place.incarnation, utf8(key)));
        run(transaction, row === undefined ? undefined : decodeState(row, this.world.digest.crc32));
      },
      bytes: 0,
      durable: true,
    });
    submitted.catch(() => undefined);
  }

  #open(secret: Uint8Array): { trees: MerkleTrees; records: Records; commits: GroupCommit } {
    const world = this.world;
    const max = this.#logChangesMax;
    const trees = new MerkleTrees({ world, secret, ...(max === undefined ? {} : { logChangesMax: max }) });
    return {
      trees,
      records: new Records({ ...world, participants: [trees], damaged: () => undefined }),
      commits: new GroupCommit({
        ...world,
        prologue: () => trees.groupBegins(),
        epilogue: (transaction) => trees.groupEnds(transaction),
        beforeCommit: () => undefined,
        takeBack: () => trees.groupFailed(),
        onFailure: () => undefined,
        groupSizeMax: 8,
        queueMax: 10_000,
        queueBytesMax: 1e9,
      }),
    };
  }
}
