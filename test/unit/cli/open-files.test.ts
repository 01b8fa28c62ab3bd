import { expect, test } from 'vitest';
import { MAX_CONNECTIONS } from '#api/server.ts';
import { PEER_CONNECTIONS_MAX } from '#world/real/network.ts';
import { openFilesLimit, sharesOf, type Shares } from '#cli/open-files.ts';

const MOST = { clients: MAX_CONNECTIONS, peers: PEER_CONNECTIONS_MAX };

function under(limit: number | undefined): { shares: Shares; told: readonly string[] } {
  const told: string[] = [];
  const shares = sharesOf(limit, { warn: (event) => void told.push(event) });
  return { shares, told };
}

test('the doors get what the disk and the connections of this node do not need', () => {
  expect(under(undefined)).toEqual({ shares: MOST, told: [] });
  expect(under(1_048_576)).toEqual({ shares: MOST, told: [] });
  expect(under(MOST.clients + MOST.peers + 320)).toEqual({ shares: MOST, told: [] });
  expect(under(4096)).toEqual({ shares: { clients: 3776, peers: 160 }, told: ['open-files-few'] });
  expect(under(256)).toEqual({ shares: { clients: 128, peers: 64 }, told: ['open-files-few'] });
});

test('with fewer than a node needs it does not begin, and says what to raise', () => {
  expect(() => under(64)).toThrow(
    'this process may open 64 files, and a node needs 128 at least: raise the limit (ulimit -n, LimitNOFILE)',
  );
});

test.runIf(process.platform === 'linux')('the limit of this process is known', () => {
  expect(openFilesLimit()).toBeGreaterThan(64);
});
