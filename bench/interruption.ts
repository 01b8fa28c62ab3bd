/** A benchmark that is told to end takes with it what it has started: processes of its own, folders, namespaces. */

import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const processes = new Set<ChildProcess>();
const directories: string[] = [];
const undoings: (() => void)[] = [];
let minds = false;

/** A process that ends with the benchmark at the latest. */
export function mindProcess<T extends ChildProcess>(child: T): T {
  mindSignals();
  processes.add(child);
  child.once('exit', () => processes.delete(child));
  return child;
}

/** A fresh folder that goes with the benchmark at the latest. */
export function temporaryDirectory(prefix: string): string {
  mindSignals();
  const directory = mkdtempSync(join(tmpdir(), prefix));
  directories.push(directory);
  return directory;
}

/** What else has to be taken back, once no process is left, and before the folders are. */
export function undoWhenInterrupted(undo: () => void): void {
  mindSignals();
  undoings.push(undo);
}

function mindSignals(): void {
  if (minds) return;
  minds = true;
  for (const signal of SIGNALS) process.once(signal, () => end(constants.signals[signal]));
}

function end(signal: number): never {
  // A frozen one would not hear anything milder.
  for (const child of processes) child.kill('SIGKILL');
  for (const undo of undoings) undo();
  // They may be writing for a moment yet.
  for (const directory of directories)
    rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  process.exit(128 + signal);
}
