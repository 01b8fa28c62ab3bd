/** Tools of node_modules, run by scripts: a signal that ends the script ends them too. */

import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What runs tests, but for its further arguments. */
export const TEST_RUNNER: readonly string[] = ['vitest/vitest.mjs', 'run'];

const controller = new AbortController();
/** Aborted when this process has been asked to end; it ends with the status of that. */
export const stopping = controller.signal;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    controller.abort();
    process.exitCode = 128 + constants.signals[signal];
  });
}

export interface ToolResult {
  readonly exitCode: number;
  readonly output: string;
}

/** Runs a tool of node_modules under this very Node.js, in the root of the project; shows its output as it comes, or collects it. */
export function runTool(command: readonly string[], output: 'show' | 'collect'): Promise<ToolResult> {
  const [tool = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, 'node_modules', tool), ...args], {
      cwd: root,
      signal: stopping,
      stdio: output === 'show' ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    });
    const chunks: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.once('error', (error) => {
      if (error.name !== 'AbortError') reject(error);
    });
    child.once('close', (code) => {
      resolve({ exitCode: code ?? 1, output: Buffer.concat(chunks).toString() });
    });
  });
}
