/** What a node has to hear of its disk before it serves. */

import { expect, test } from 'vitest';
import { nodeId, storageId, type NodeId } from '#kernel/identity.ts';
import type { BootRecord, BootRecords, OwnBoots } from '#membership/boot-records.ts';
import { BootWitness } from '#membership/boot-witness.ts';
import type { BootRequest } from '#membership/messages.ts';
import type { Messaging } from '#wire/messaging.ts';
import { DiskError, type World } from '#world/world.ts';

const [A, B, C, D] = ['a', 'b', 'c', 'd'].map(nodeId) as [NodeId, NodeId, NodeId, NodeId];
const DISK = storageId('a'.repeat(32));

interface Witnessed {
  readonly made: BootWitness;
  /** What the others have been asked and told. */
  readonly told: string[];
  readonly errors: string[];
  /** Peers that do not answer. */
  readonly deaf: Set<NodeId>;
  /** The pauses that are over when they are run. */
  readonly pauses: (() => void)[];
  readonly marks: { written: number; fails: boolean };
}

/** The witness of node A in boot 5. */
function witness(known?: BootRecord): Witnessed {
  const told: string[] = [];
  const errors: string[] = [];
  const deaf = new Set<NodeId>();
  const pauses: (() => void)[] = [];
  const marks = { written: 0, fails: false };
  const messaging = {
    handle: () => undefined,
    call: (to: NodeId, _type: unknown, { record, announces }: BootRequest) => {
      const mark = record.mark === 0 ? '' : ` mark ${record.mark}`;
      told.push(`${to} ${announces ? 'told' : 'asked'}${mark}`);
      return Promise.resolve(deaf.has(to) ? { kind: 'lost' } : { kind: 'reply', reply: { known } });
    },
  } as unknown as Messaging;
  const world = {
    clock: { monotonic: () => 0, after: (_: number, over: () => void) => pauses.push(over) },
    log: { error: (event: string) => errors.push(event), warn: (event: string) => errors.push(event) },
  } as unknown as World;
  const own: OwnBoots = {
    ...{ storageId: DISK, boot: 5, lives: [50, 40, 30] },
    marks: {
      of: (boot) => (boot === 5 ? marks.written : 0),
      raise: () => {
        if (marks.fails) return Promise.reject(new DiskError('full', 'no room', false));
        marks.written += 1;
        return Promise.resolve();
      },
    },
  };
  const records = { get: () => undefined } as unknown as BootRecords;
  const made = new BootWitness({ world, messaging, self: A, own, records, callTimeout: 100 });
  return { made, told, errors, deaf, pauses, marks };
}

async function meets(made: BootWitness, ...peers: NodeId[]): Promise<void> {
  for (const peer of peers) {
    made.meet(peer);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('a majority is asked, and only then told', async () => {
  const { made, told } = witness();
  made.setVoters([A, B, C]);
  expect(made.verified()).toBe(false);
  await meets(made, B);
  expect(made.verified()).toBe(false);
  await meets(made, B, B, C);
  expect(told).toEqual(['b asked', 'b told', 'c told']);
  expect(made.verified()).toBe(true);
});

test('a node alone is its own majority; whoever is named later need not be waited for', async () => {
  const { made, told } = witness();
  expect(made.verified()).toBe(false);
  made.setVoters([A]);
  made.setVoters([A, B, C]);
  expect(made.verified()).toBe(true);
  await meets(made, B, B);
  expect(told).toContain('b told');
});

test('who knows of a boot that the disk does not know speaks against it for good', async () => {
  const { made, told, errors } = witness({ storage: DISK, boot: 4, life: 41, mark: 0 });
  made.setVoters([A, B, C, D]);
  await meets(made, B, C, D, B);
  expect(made.putBack()).toContain('another boot 4');
  expect(made.verified()).toBe(false);
  expect(told).toEqual(['b asked']);
  expect(errors).toEqual(['disk-put-back']);
});

test('a node that serves stops when somebody comes who knows better', async () => {
  const { made } = witness();
  made.setVoters([A]);
  expect(made.verified()).toBe(true);
  made.hear([{ storage: DISK, boot: 9, life: 1, mark: 0 }]);
  expect(made.verified()).toBe(false);
});

test('a mark is told to the voters and to nobody else, each once', async () => {
  const { made, told, marks } = witness();
  made.setVoters([A, B, C]);
  await made.mark();
  expect(marks.written).toBe(0);
  await meets(made, B, B, C, D);
  expect(made.verified()).toBe(true);
  told.length = 0;
  await meets(made, B, C, D);
  expect(told).toEqual([]);
  await made.mark();
  await meets(made, B, B, C, D);
  expect(told).toEqual(['b told mark 1', 'c told mark 1']);
});

test('who has not taken note of a mark is told again, after a while; a new one comes with it', async () => {
  const { made, told, deaf, pauses } = witness();
  made.setVoters([A, B, C]);
  await meets(made, B, B, C);
  told.length = 0;
  deaf.add(C);
  await made.mark();
  await meets(made, B, C, C);
  expect(told).toEqual(['b told mark 1', 'c told mark 1']);
  deaf.clear();
  await made.mark();
  await meets(made, C);
  for (const over of pauses) over();
  await meets(made, C, C);
  expect(told.slice(2)).toEqual(['c told mark 2']);
});

test('a stop waits until the voters have the last mark', async () => {
  const { made, told } = witness();
  made.setVoters([A, B, C]);
  await meets(made, B, B, C);
  told.length = 0;
  await made.lastMark(50);
  expect(told).toEqual(['b told mark 1', 'c told mark 1']);
});

test('a mark that could not be written is told to nobody', async () => {
  const { made, told, errors, marks } = witness();
  made.setVoters([A, B]);
  await meets(made, B, B);
  told.length = 0;
  marks.fails = true;
  await made.mark();
  await meets(made, B);
  expect([told, errors]).toEqual([[], ['mark-not-written']]);
});

test('a process that was put back together with its disk hears of its own later marks', async () => {
  const { made } = witness({ storage: DISK, boot: 5, life: 50, mark: 3 });
  made.setVoters([A, B]);
  await meets(made, B);
  expect(made.putBack()).toContain('mark 3 of boot 5');
  expect(made.verified()).toBe(false);
});
