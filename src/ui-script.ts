/** The script of the page for people, as a browser takes it. */

import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Where this runs from a checkout the script has types still, in the published package none. */
export function uiScript(): string {
  const isSource = import.meta.url.endsWith('.ts');
  const url = new URL(isSource ? './ui/page.ts' : './ui/page.js', import.meta.url);
  const text = readFileSync(fileURLToPath(url), 'utf8');
  return isSource ? stripTypeScriptTypes(text) : text;
}
