/**
 * What a request makes is dead once it was answered, and V8's collector must find it so. Three things have kept it from that: a Map
 * that is cleared or grows anew for ever (see kernel/by-number), a function literal that is assigned to a property for every request
 * (V8 takes it for a method and puts it into the old generation), and places that are taken for makers of long-lived objects (see
 * cli/runtime-settings; what that does needs more time than there is here, so it is only seen to be asked for). Whatever it is, V8
 * tells what it promotes.
 */

import { afterAll, expect, test } from 'vitest';
import { http, TestCluster } from './support.ts';

const CLIENTS = 16;
const REQUESTS = 6000;

/** Tells what V8 is asked for while a node runs. */
const TELL_V8 = `data:text/javascript,
import v8 from 'node:v8';
import { syncBuiltinESMExports } from 'node:module';
const set = v8.setFlagsFromString;
v8.setFlagsFromString = (flag) => { console.log('asked of V8: ' + flag); set(flag); };
syncBuiltinESMExports();`.replaceAll('\n', '');

let cluster: TestCluster | undefined;
afterAll(() => cluster?.stop());

/** The shares of what was allocated that were promoted, a collection of the young generation each. */
function promotedShares(trace: string): number[] {
  const figure = (line: string, name: string): number => Number(new RegExp(` ${name}=(\\d+)`).exec(line)?.[1]);
  const scavenges = trace.split('\n').filter((line) => line.includes(' gc=s '));
  return scavenges.map((line) => figure(line, 'promoted') / figure(line, 'allocated'));
}

test('of what requests make, hardly anything outlives two collections', async () => {
  cluster = await TestCluster.prepare(2, {
    runtime: ['--trace-gc-nvp', '--max-semi-space-size=4', '--import', TELL_V8],
  });
  cluster.startAll();
  await cluster.ready();
  const node = cluster.nodes.get('n1')!;
  let left = REQUESTS;
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      const url = `${node.url}/v1/kv/short-lived/${left % 500}`;
      const method = left % 2 === 0 ? 'PUT' : 'GET';
      const { status } = await http(method, url, method === 'PUT' ? { body: Buffer.alloc(1024, left) } : {});
      expect([200, 204, 404]).toContain(status);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  expect(node.stdout()).toContain('asked of V8: --no-allocation-site-pretenuring');
  const shares = promotedShares(node.stdout());
  // What is there to stay, such as compiled code, comes first.
  const later = shares.slice(Math.floor(shares.length / 2)).toSorted((a, b) => a - b);
  expect(later.length).toBeGreaterThan(10);
  expect(later[later.length >> 1]).toBeLessThan(0.003);
});
