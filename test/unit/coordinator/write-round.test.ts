/** Who mints when no owner can be reached. */

import { expect, test } from 'vitest';
import { DEFAULT_PROPERTIES, type Bucket } from '#buckets/definition.ts';
import type { RequestMark } from '#causality/repeats.ts';
import { DEFAULT_COORDINATOR_SETTINGS, routeOf, type Environment } from '#coordinator/environment.ts';
import type { WriteRequest } from '#coordinator/requests.ts';
import { WriteRound } from '#coordinator/write-round.ts';
import { utf8 } from '#kernel/bytes.ts';
import { epoch, type NodeId } from '#kernel/identity.ts';
import { OneMachine } from '../replica/worlds.ts';
import { ringOf } from '../ring/rings.ts';

const RING = ringOf(['z', 'z', 'z', 'z'], 8);
const BUCKET: Bucket = { name: 'b', incarnation: 0, version: epoch(0), properties: DEFAULT_PROPERTIES };
const KEY = utf8('k');

/** Begins a write at the one node that does not own the key, which has just lost sight of all who do. */
async function minted(mark: RequestMark | null): Promise<{ readonly ending: string; readonly inPlace: number }> {
  const machine = new OneMachine();
  const { clock, digest, log, metrics } = machine.boot();
  let inPlace = 0;
  const knowledge = { epoch: () => epoch(1), ring: () => RING };
  const { owners } = routeOf({ knowledge } as unknown as Environment, BUCKET, KEY);
  const stranger = RING.members.find((member) => !owners.includes(member))!;
  const down = (id: NodeId) => (id === stranger.id ? 'usable' : 'down');
  const environment = {
    world: { clock, digest, log, metrics },
    self: stranger.id,
    settings: DEFAULT_COORDINATOR_SETTINGS,
    replica: { now: () => 1 },
    peers: {
      isSlow: () => false,
      isGathering: () => false,
      consider: down,
      assess: down,
      usable: () => false,
      why: () => 'not connected',
    },
    hedging: { standInAfter: () => 150 },
    hints: {
      mint: () => {
        inPlace += 1;
        return Promise.resolve({});
      },
    },
    knowledge: { ...knowledge, self: () => stranger.index },
  } as unknown as Environment;
  const request: WriteRequest = {
    ...{ requestId: 'r', bucket: BUCKET, key: KEY, deadline: 1000, content: null, context: [], ttl: 0 },
    ...{ r: 1, pr: 0, w: 1, pw: 0, dw: 0, sloppy: true, returnBody: false, conditions: null, mark },
  };
  const round = new WriteRound(environment, request, { kind: 'mint', context: [], base: null, after: 0 });
  return { ending: await machine.simulation.settle(round.run()), inPlace };
}

test('a fallback does, unless the request has an idempotency key: whoever is sent it again could not know of it', async () => {
  expect(await minted(null)).toEqual({ ending: 'reached', inPlace: 1 });
  const mark = { id: new Uint8Array(16), fingerprint: new Uint8Array(16) };
  expect(await minted(mark)).toEqual({ ending: 'impossible', inPlace: 0 });
});
