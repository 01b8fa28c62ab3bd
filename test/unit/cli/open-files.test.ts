import { expect, test } from 'vitest';
import { MAX_CONNECTIONS } from '#api/server.ts';
import { connectionsMax, openFilesLimit } from '#cli/open-files.ts';

function under(limit: number | undefined): { max: number; told: readonly string[] } {
  const told: string[] = [];
  const max = connectionsMax(limit, { warn: (event) => void told.push(event) });
  return { max, told };
}

test('clients get what the disk and the other nodes do not need', () => {
  expect(under(undefined)).toEqual({ max: MAX_CONNECTIONS, told: [] });
  expect(under(1_048_576)).toEqual({ max: MAX_CONNECTIONS, told: [] });
  expect(under(MAX_CONNECTIONS + 320)).toEqual({ max: MAX_CONNECTIONS, told: [] });
  expect(under(4096)).toEqual({ max: 3776, told: ['open-files-few'] });
  expect(under(256)).toEqual({ max: 128, told: ['open-files-few'] });
});

test('with fewer than a node needs it does not begin, and says what to raise', () => {
  expect(() => under(64)).toThrow(
    'this process may open 64 files, and a node needs 128 at least: raise the limit (ulimit -n, LimitNOFILE)',
  );
});

test.runIf(process.platform === 'linux')('the limit of this process is known', () => {
  expect(openFilesLimit()).toBeGreaterThan(64);
});
