/** What a node stores of epochs whose disk is full, and which is on its way out. */

import { expect, test } from 'vitest';
import { EpochLog } from '#consensus/epoch-log.ts';
import { epoch, nodeId, storageId } from '#kernel/identity.ts';
import { DiskError, type World } from '#world/world.ts';
import { ringOf } from '../ring/rings.ts';

test('an epoch that cannot be stored is told of once, until another one was stored', async () => {
  const told: unknown[] = [];
  let isFull = true;
  const commit = (): { readonly durable: Promise<void> } => {
    if (isFull) throw new DiskError('full', 'no space', false);
    return { durable: Promise.resolve() };
  };
  const world = {
    log: { error: (event: string, fields: object) => told.push([event, fields]), info: () => undefined },
    disk: { get: () => undefined, range: () => [], commit },
    digest: {},
  } as unknown as World;
  const log = new EpochLog({ world, self: { id: nodeId('n1'), storageId: storageId('1'.repeat(32)) } });
  const hear = async (number: number): Promise<boolean> => {
    const facts = { epoch: epoch(number), ring: ringOf(['z'], 2), buckets: [], tokens: [] };
    return await log.install({ origin: 'o', epochs: [facts] }, nodeId('n2'));
  };
  for (const number of [1, 1, 1, 2]) expect(await hear(number)).toBe(false);
  expect(told).toEqual([['epoch-not-stored', { epoch: 1, error: expect.stringContaining('no space') }]]);
  isFull = false;
  expect([await hear(2), log.newestEpoch]).toEqual([true, 2]);
  isFull = true;
  expect([await hear(3), told.length]).toEqual([false, 2]);
});

test('a log that is stopped waits for what it stores, and stores nothing any more: the disk is closed next', async () => {
  const steps: string[] = [];
  let stored: () => void = () => undefined;
  const commit = (): { readonly durable: Promise<void> } => {
    steps.push('commit');
    return { durable: new Promise<void>((resolve) => (stored = resolve)) };
  };
  const world = {
    log: { info: (event: string) => steps.push(event) },
    disk: { get: () => undefined, range: () => [], commit },
    digest: {},
  } as unknown as World;
  const log = new EpochLog({ world, self: { id: nodeId('n1'), storageId: storageId('1'.repeat(32)) } });
  const hear = async (number: number): Promise<boolean> => {
    const facts = { epoch: epoch(number), ring: ringOf(['z'], 2), buckets: [], tokens: [] };
    return await log.install({ origin: 'o', epochs: [facts] }, nodeId('n2'));
  };
  const first = hear(1);
  await Promise.resolve();
  const second = hear(2);
  const stopped = log.stop().then(() => steps.push('stopped'));
  stored();
  expect(await Promise.all([first, second])).toEqual([true, false]);
  await stopped;
  // The second commit forgets old votes.
  expect(steps).toEqual(['commit', 'epoch-installed', 'commit', 'stopped']);
});
