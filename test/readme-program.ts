/** The programs that README.md shows, as text that can run. */

import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';

const README = new URL('../README.md', import.meta.url);

/** The first program below a heading, as it stands there. */
export function readmeProgram(heading: string): string {
  const text = readFileSync(README, 'utf8');
  const at = text.indexOf(`# ${heading}\n`);
  const program = /```ts\n([\s\S]*?)```/.exec(text.slice(at))?.[1];
  if (at === -1 || program === undefined) throw new Error(`README.md has no program below ${JSON.stringify(heading)}`);
  return program;
}

type Names = Readonly<Record<string, unknown>>;

/** Runs a program with these names in place of what it imports, and waits for its end. */
export async function runProgram(program: string, names: Names): Promise<void> {
  const body = stripTypeScriptTypes(program.replaceAll(/^import .*;$/gm, ''));
  const AsyncFunction = (async () => undefined).constructor as new (
    ...parts: string[]
  ) => (...values: unknown[]) => Promise<void>;
  await new AsyncFunction(...Object.keys(names), body)(...Object.values(names));
}
