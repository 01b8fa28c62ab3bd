/**
 * Directories whose names are still there after a loss of power, and lengths of files.
 */

import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Not with mkdir's own `recursive`, which never returns where nothing can be created, as in /proc. */
export function makeDirectory(directory: string): void {
  if (isDirectory(directory)) return;
  const above = dirname(directory);
  if (above !== directory) makeDirectory(above);
  try {
    mkdirSync(directory);
  } catch (error) {
    // Nodes that are started at once make what is above their directories at the same time.
    if (!isDirectory(directory)) throw error;
  }
  syncDirectory(above);
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** 0 when it is not there. */
export function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** The name of a new file or directory is durable only when the directory that holds it is. */
export function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
