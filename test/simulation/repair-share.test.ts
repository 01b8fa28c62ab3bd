/** The share of its time that a node spends on repair while clients want the rest, from the setting to the pace. */

import { expect, test } from 'vitest';
import { repairSettings } from '#cli/repair-settings.ts';
import { loadConfig } from '#config.ts';
import { RECORDS } from '#replica/tables.ts';
import { SimulatedCluster } from './cluster.ts';
import { requestName } from './messages-on-the-wire.ts';

const KEYS = 40;
const VALUE = 'v'.repeat(20_000);
const CARRY_STATES = /^(replica\.store|handoff\.|repair\.)/;

/** Virtual milliseconds until a node has what it has missed, while a client asks it for something all the time. */
async function timeToMend(share: string): Promise<number> {
  const flags = { 'repair-share': share, 'anti-entropy-interval': '200ms', 'repair-settle-time': '0' };
  const { settings } = loadConfig({ file: undefined, environment: {}, flags });
  const node = { repair: repairSettings(settings) };
  const cluster = await SimulatedCluster.founded({ seed: 1, nodes: 3, node });
  const late = cluster.machine('n3');
  const loses = (message: Uint8Array): boolean => CARRY_STATES.test(requestName(message));
  for (const { host } of cluster.machines) if (host !== late.host) cluster.network.setFault(host, late.host, { loses });
  cluster.network.setFault(late.host, cluster.machine('n1').host, { loses });
  cluster.network.setFault(late.host, cluster.machine('n2').host, { loses });
  for (let i = 0; i < KEYS; i++) await cluster.request('n1', 'PUT', `/v1/kv/b/k${i}`, { body: VALUE });
  cluster.network.clearFaults();
  const { simulation } = cluster;
  const begun = simulation.now;
  while ([...late.medium.table(RECORDS).rows()].length < KEYS && simulation.now < begun + 60_000) {
    await cluster.request('n3', 'GET', '/v1/kv/b/other?r=1');
    await simulation.run(simulation.now + 5);
  }
  return simulation.now - begun;
}

test('repair takes less of the time the smaller its share is', async () => {
  expect(await timeToMend('0.02')).toBeGreaterThan(2 * (await timeToMend('1')));
});
