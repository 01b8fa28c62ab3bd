/** Changes modules of the product while they are loaded, in this process only. */

import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

export interface SourceEdit {
  /** From the root of the project. */
  readonly file: string;
  /** Occurs there exactly once, whatever the blanks and line breaks between its words. */
  readonly from: string;
  readonly to: string;
}

const ROOT = new URL('../../', import.meta.url).href;

/** To be called before the modules concerned are loaded. */
export function editSources(edits: readonly SourceEdit[]): void {
  const files = Map.groupBy(edits, ({ file }) => ROOT + file);
  // Says at once what does not fit, instead of in the middle of an import.
  for (const [url, ofFile] of files) edited(readFileSync(fileURLToPath(url), 'utf8'), ofFile);
  registerHooks({
    load(url, context, nextLoad) {
      const result = nextLoad(url, context);
      const ofFile = files.get(url);
      if (ofFile === undefined) return result;
      return { ...result, source: edited(readFileSync(fileURLToPath(url), 'utf8'), ofFile) };
    },
  });
}

/** The text with all edits made. Throws when one of them does not fit. */
export function edited(text: string, edits: readonly SourceEdit[]): string {
  return edits.reduce((before, { file, from, to }) => {
    const pattern = new RegExp(from.trim().split(/\s+/).map(literally).join('\\s+'), 'g');
    const found = [...before.matchAll(pattern)].length;
    if (found !== 1) throw new Error(`${file} has ${found} places that read ${JSON.stringify(from)}; it should be one`);
    return before.replace(pattern, () => to);
  }, text);
}

function literally(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
