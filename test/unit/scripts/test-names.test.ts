import { expect, test } from 'vitest';
import { vitestArguments } from '../../../scripts/test-names.ts';

test('only the tests that are named are run, and all of the folder when none are', () => {
  expect(vitestArguments('test/unit', [])).toEqual(['test/unit']);
  expect(vitestArguments('test/unit', ['test/unit/ring'])).toEqual(['test/unit/ring']);
  expect(vitestArguments('test/cluster', ['strong-keys', 'http'])).toEqual([
    'test/cluster/strong-keys',
    'test/cluster/http',
  ]);
  expect(vitestArguments('test/unit', ['-t', 'a name'])).toEqual(['test/unit', '-t', 'a name']);
  expect(vitestArguments('test/unit', ['ring', '-t', 'a name'])).toEqual(['test/unit/ring', '-t', 'a name']);
});
