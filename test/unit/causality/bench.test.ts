import { expect, test } from 'vitest';
import { run } from '../../../bench/micro/causality.bench.ts';

test('the micro benchmark still runs', async () => {
  const figures = await run(1);
  expect(figures.length).toBeGreaterThan(0);
});
