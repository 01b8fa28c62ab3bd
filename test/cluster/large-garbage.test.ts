/**
 * The bytes of large values are dead as soon as they were answered or stored. Whatever frees them must not look through all that a node
 * has for it, nor give their memory back to the system only to have it cleared anew (cli/runtime-settings).
 */

import { execFileSync } from 'node:child_process';
import { afterAll, expect, test } from 'vitest';
import { memoryLimit } from '../../src/cli/memory.ts';
import { AMPLE_MEMORY_BYTES, v8FlagsFor } from '../../src/cli/runtime-settings.ts';
import { http, TestCluster } from './support.ts';

const SETTINGS = new URL('../../src/cli/runtime-settings.ts', import.meta.url).href;
const MIB = 1024 * 1024;
const VALUE_BYTES = 4 * MIB - 4096;
const READS = 80;
const v8 = Number.parseInt(process.versions.v8, 10);
const isAmple = memoryLimit() >= AMPLE_MEMORY_BYTES;
const { glibcVersionRuntime } = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header;

let cluster: TestCluster | undefined;
afterAll(() => cluster?.stop());

/** Of everything, not of the young generation only. */
function fullCollections(trace: string): number {
  return trace.split('\n').filter((line) => line.includes('Mark-Compact')).length;
}

test.skipIf(!isAmple || v8 < 13)('large values that were read are not each time collected with all else', async () => {
  cluster = await TestCluster.prepare(1, { runtime: ['--trace-gc'] });
  cluster.startAll();
  await cluster.ready();
  const node = cluster.nodes.get('n1')!;
  const url = `${node.url}/v1/kv/large-garbage/key`;
  expect((await http('PUT', url, { body: Buffer.alloc(VALUE_BYTES, 'v') })).status).toBe(204);
  const before = fullCollections(node.stdout());
  for (let i = 0; i < READS; i++) expect((await http('GET', url)).body.length).toBe(VALUE_BYTES);
  // 3 to 5; V8 by itself does 12 to 16, one for each 64 MiB that it was given.
  expect(fullCollections(node.stdout()) - before).toBeLessThan(8);
});

/** Pages that a process was given, cleared, for 50 blocks of 4 MiB one after the other. */
function pagesFor(memory: number): number {
  const program = `
    import { tuneRuntime } from ${JSON.stringify(SETTINGS)};
    tuneRuntime(${memory});
    const before = process.resourceUsage().minorPageFault;
    for (let i = 0; i < 50; i++) {
      const block = new Uint8Array(${4 * MIB} + 4096 * i);
      block.fill(i);
      block.buffer.transfer(0);
    }
    console.log(process.resourceUsage().minorPageFault - before);`;
  return Number(execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' }));
}

test.skipIf(glibcVersionRuntime === undefined)('the memory of a large block is used again for the next one', () => {
  expect(pagesFor(AMPLE_MEMORY_BYTES) * 5).toBeLessThan(pagesFor(AMPLE_MEMORY_BYTES - 1));
});

test('V8 knows what it is asked for', () => {
  const options = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8' });
  for (const flag of v8FlagsFor(AMPLE_MEMORY_BYTES, process.versions.v8))
    expect(options).toContain(`  --${flag.replace(/^--(no-)?/, '')} `);
});

test('with little memory, or a V8 that is not known to have it, nothing is asked about large values', () => {
  const asked = (memory: number, version: string): number => v8FlagsFor(memory, version).length;
  expect([asked(AMPLE_MEMORY_BYTES, '13.6.233.17'), asked(AMPLE_MEMORY_BYTES, '14.6.202.34')]).toEqual([2, 2]);
  expect([asked(AMPLE_MEMORY_BYTES, '12.4.254.21'), asked(AMPLE_MEMORY_BYTES, '15.1.1')]).toEqual([1, 1]);
  expect(asked(AMPLE_MEMORY_BYTES - 1, '13.6.233.17')).toBe(1);
});
