import { expect, test } from 'vitest';
import { compare } from '../../../bench/micro/api.bench.ts';

test('the benchmark of the front door runs', async () => {
  const rows = await compare(20, 1);
  expect(rows.map(({ server, method }) => `${server} ${method}`)).toEqual([
    'bare PUT',
    'bare GET',
    'api PUT',
    'api GET',
    'guarded PUT',
    'guarded GET',
    'full PUT',
    'full GET',
  ]);
}, 60_000);
