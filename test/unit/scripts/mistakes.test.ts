import { parseArgs } from 'node:util';
import { expect, test } from 'vitest';
import { Mistake, mistakeIn } from '../../../scripts/mistakes.ts';

function parsed(...args: readonly string[]): unknown {
  try {
    return parseArgs({ args: [...args], options: { seed: { type: 'string' } } });
  } catch (error) {
    return mistakeIn(error);
  }
}

test('what somebody has typed wrong is one line, and no other error is taken for it', () => {
  expect(parsed('--bogus')).toBe("Unknown option '--bogus'");
  expect(parsed('extra')).toMatch(/^Unexpected argument 'extra'/);
  expect(parsed('--seed')).toBe("Option '--seed <value>' argument missing");
  expect(mistakeIn(new Mistake('--seed x: a whole number from 0'))).toBe('--seed x: a whole number from 0');
  expect(mistakeIn(new TypeError('x is undefined'))).toBeUndefined();
});
