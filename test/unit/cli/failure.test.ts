import { openSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { failure } from '../../../src/cli/failure.ts';
import { EXIT } from '../../../src/cli/output.ts';

afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

test('what the system says of a file is one line, as it names the file', () => {
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    openSync('/nonexistent/x', 'a');
  } catch (error) {
    failure(error);
  }
  expect(said.mock.calls).toEqual([["quoral: ENOENT: no such file or directory, open '/nonexistent/x'\n"]]);
  expect(process.exitCode).toBe(EXIT.wrong);
});

test('a mistake of the program keeps its stack', () => {
  expect(() => failure(new TypeError('x is not a function'))).toThrow(TypeError);
});
