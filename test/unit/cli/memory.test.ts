import { totalmem } from 'node:os';
import { expect, test } from 'vitest';
import { apiWithin, memoryLimit, memorySharesOf, nodeWithin, type MemoryShares } from '#cli/memory.ts';
import { nodeOptions } from '#cli/run-node.ts';
import { loadConfig } from '#config.ts';

const MEBIBYTE = 1024 * 1024;

function within(limit: number): { shares: MemoryShares; told: readonly string[] } {
  const told: string[] = [];
  const note = (event: string): void => void told.push(event);
  const needs = { cacheBytes: 32 * MEBIBYTE, largestBytes: 8 * MEBIBYTE };
  return { shares: memorySharesOf(limit * MEBIBYTE, needs, { info: note, warn: note }), told };
}

/** In mebibytes: bodies, slow answers, what waits for the disk, calls to a peer, and what waits for its connection. */
function boundsWithin(limit: number): readonly number[] {
  const { shares } = within(limit);
  const { settings, origins } = loadConfig({ file: undefined, environment: {}, flags: {} });
  const { wire, replica } = nodeWithin(shares, nodeOptions(settings, origins));
  const { bodiesMaxBytes, answersMaxBytes } = apiWithin(shares);
  const { maxInFlightBytes, maxQueuedBytes } = wire;
  const bounds = [bodiesMaxBytes, answersMaxBytes, replica.commitQueueBytesMax, maxInFlightBytes, maxQueuedBytes];
  return bounds.map((bytes) => bytes / MEBIBYTE);
}

test('values get a part of the memory, and no more than where there is much', () => {
  expect(boundsWithin(64 * 1024)).toEqual([256, 256, 256, 256, 64]);
  expect(boundsWithin(192 + 12 * 256)).toEqual([256, 256, 256, 256, 64]);
  expect(boundsWithin(192 + 12 * 64)).toEqual([64, 64, 64, 64, 16]);
});

test('the largest one always has room', () => {
  expect(boundsWithin(100)).toEqual([8, 8, 8, 8, 8]);
});

test('where it is a narrower bound than others, that is told', () => {
  expect(within(192 + 12 * 256).told).toEqual([]);
  expect(within(1024).told).toEqual(['memory-shared']);
  expect(within(192 + 12 * 8).told).toEqual(['memory-shared']);
  expect(within(200).told).toEqual(['memory-small']);
});

test('the limit of this process is known, and is not above what the machine has', () => {
  expect(memoryLimit()).toBeGreaterThan(64 * MEBIBYTE);
  expect(memoryLimit()).toBeLessThanOrEqual(totalmem());
});
