#!/usr/bin/env node
/**
 * The `quoral` command. In a checkout it runs the sources as they are and installs what is missing; in a published
 * package it runs what `npm run build` made of them.
 */

import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(realpathSync(fileURLToPath(import.meta.url))));
const source = join(root, 'src', 'main.ts');
process.argv.splice(2, 0, existsSync(source) ? source : join(root, 'dist', 'main.js'));
await import('./bootstrap.js');
