/** The project's own text files, as the tests of this folder see them. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

const NOT_OURS = new Set(['.git', 'node_modules', 'dist', 'data', 'package-lock.json', 'LICENSE']);
const TEXT = /(\.(ts|js|json|md|ya?ml|sh|html|css|txt)|\.ci\/run)$/;

export interface SourceFile {
  /** Relative to the project's root, with `/`. */
  readonly path: string;
  readonly text: string;
}

/** Every text file of the project below the folder ('' for all), sorted by path. */
export function sourceFiles(folder: string): readonly SourceFile[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => !NOT_OURS.has(entry.name))
    .flatMap((entry) => {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) return sourceFiles(path);
      return entry.isFile() && TEXT.test(path) ? [{ path, text: readSource(path) }] : [];
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

export function readSource(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

const IMPORTS = [
  /^(?:import|export)\b[^;'"]*?\bfrom\s+['"]([^'"]+)['"]/gm,
  /^import\s+['"]([^'"]+)['"]/gm,
  /\bimport\s*\(\s*['"]([^'"]+)['"]/g,
  /\bimport\.meta\.resolve\(\s*['"]([^'"]+)['"]/g,
];

/** What the file imports, as written: statically, dynamically or by resolving. */
export function importsOf(text: string): readonly string[] {
  return IMPORTS.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1]!));
}

/** The path below src that an import of one of the project's files leads to; undefined for a package. */
export function targetOf(importer: string, specifier: string): string | undefined {
  if (specifier.startsWith('#')) return specifier.slice(1);
  if (!specifier.startsWith('.')) return undefined;
  const parts = importer.split('/').slice(0, -1);
  for (const part of specifier.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/').replace(/^src\//, '');
}
