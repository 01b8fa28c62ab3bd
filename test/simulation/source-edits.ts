/** Changes modules of the product while they are loaded, in this process only. */

import { readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes, type ResolveFnOutput } from 'node:module';
import { fileURLToPath } from 'node:url';

export interface SourceEdit {
  /** From the root of the project. */
  readonly file: string;
  /** Occurs there exactly once, whatever the blanks and line breaks between its words. */
  readonly from: string;
  readonly to: string;
}

const ROOT = new URL('../../', import.meta.url).href;
const PARAMETER = '?variant=';

/** What is loaded once more for a variant. */
interface Variant {
  readonly edits: ReadonlyMap<string, readonly SourceEdit[]>;
  readonly modules: ReadonlySet<string>;
}

/**
 * Variants of a program, side by side in one process: a module that is edited, and whatever leads to it by its imports, is loaded
 * once more for each of them, under an address of its own. Everything else is shared, so that it is loaded and compiled once.
 */
export class Variants {
  readonly #entry: string;
  readonly #importers = new Map<string, Set<string>>();
  readonly #variants = new Map<string, Variant>();
  readonly #stripped = new Map<string, string>();
  /** What the imports of the program lead to, by file and specifier: those of a variant are the same, and there are many variants. */
  readonly #resolved = new Map<string, ResolveFnOutput>();

  /** `entry` is the address of the module by which the program is loaded; it must not have been before. */
  constructor(entry: string) {
    this.#entry = entry;
    registerHooks({
      resolve: (specifier, context, next) => {
        const [parent = '', name] = context.parentURL?.split(PARAMETER) ?? [];
        const place = `${parent} ${specifier}`;
        const resolved = this.#resolved.get(place) ?? {
          ...(ownModule(specifier, parent) ?? next(specifier, context)),
          shortCircuit: true,
        };
        this.#resolved.set(place, resolved);
        if (name !== undefined) {
          const { modules } = this.#variants.get(name)!;
          return modules.has(resolved.url) ? { ...resolved, url: resolved.url + PARAMETER + name } : resolved;
        }
        if (resolved.url.startsWith(ROOT)) this.#importersOf(resolved.url).add(parent);
        return resolved;
      },
      load: (url, context, next) => {
        const [file = '', name] = url.split(PARAMETER);
        if (name === undefined) return next(url, context);
        return { format: 'module', source: this.#sourceOf(file, this.#variants.get(name)!), shortCircuit: true };
      },
    });
  }

  /** The program with these edits; without any it is the program itself. */
  async load(name: string, edits: readonly SourceEdit[]): Promise<unknown> {
    const program = (await import(this.#entry)) as unknown;
    if (edits.length === 0) return program;
    if (!this.#variants.has(name)) this.#variants.set(name, this.#variantOf(edits));
    return import(this.#entry + PARAMETER + name);
  }

  #variantOf(edits: readonly SourceEdit[]): Variant {
    const ofFile = Map.groupBy(edits, ({ file }) => ROOT + file);
    const modules = new Set<string>(ofFile.keys());
    // Grows while it is gone through.
    for (const module of modules) for (const importer of this.#importersOf(module)) modules.add(importer);
    if (!modules.has(this.#entry)) throw new Error(`nothing leads to ${edits.map(({ file }) => file).join(', ')}`);
    return { edits: ofFile, modules };
  }

  #importersOf(url: string): Set<string> {
    const known = this.#importers.get(url);
    if (known !== undefined) return known;
    const none = new Set<string>();
    this.#importers.set(url, none);
    return none;
  }

  #sourceOf(url: string, { edits }: Variant): string {
    const ofFile = edits.get(url);
    if (ofFile !== undefined) return stripTypeScriptTypes(edited(textOf(url), ofFile));
    const known = this.#stripped.get(url);
    if (known !== undefined) return known;
    const stripped = stripTypeScriptTypes(textOf(url));
    this.#stripped.set(url, stripped);
    return stripped;
  }
}

/** Our own modules are where their names say. To have the runtime look at folders for each import is a fifth of all loading. */
function ownModule(specifier: string, parent: string): ResolveFnOutput | undefined {
  if (!specifier.endsWith('.ts') || !parent.startsWith(ROOT)) return undefined;
  const url = specifier.startsWith('#') ? `${ROOT}src/${specifier.slice(1)}` : new URL(specifier, parent).href;
  return { url, format: 'module-typescript' };
}

function textOf(url: string): string {
  return readFileSync(fileURLToPath(url), 'utf8');
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
