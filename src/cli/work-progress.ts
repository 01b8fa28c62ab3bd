/** How far an import or export is: a bar for people at a terminal, and at the end a line for them or JSON for machines. */

import { print } from './output.ts';

const BAR_WIDTH = 30;
const REDRAW_MS = 200;

export class WorkProgress {
  readonly #started = performance.now();
  readonly #verb: string;
  readonly #totalBytes: number | undefined;
  readonly #quiet: boolean;
  #drawnAt = 0;
  /** Of this run. */
  #keys = 0;
  #bytes = 0;
  /** Of earlier runs. */
  readonly #before: { readonly keys: number; readonly bytes: number };

  /** `totalBytes` of the file, where that is known; `before` is what earlier runs have done. */
  constructor(verb: string, totalBytes: number | undefined, before: { keys: number; bytes: number }, quiet: boolean) {
    this.#verb = verb;
    this.#totalBytes = totalBytes;
    this.#before = before;
    this.#quiet = quiet || !process.stderr.isTTY;
  }

  get keys(): number {
    return this.#before.keys + this.#keys;
  }

  done(keys: number, bytes: number): void {
    this.#keys += keys;
    this.#bytes += bytes;
    const now = performance.now();
    if (this.#quiet || now - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = now;
    process.stderr.write(`\r${this.#line().slice(0, Math.max(20, (process.stderr.columns || 80) - 1))}\u001B[K`);
  }

  #line(): string {
    const { seconds, rate } = this.#pace();
    const done = this.#before.bytes + this.#bytes;
    const figures = `${this.keys} keys, ${rate} keys/s, ${(this.#bytes / 1e6 / seconds).toFixed(1)} MB/s`;
    if (this.#totalBytes === undefined) return figures;
    const share = Math.min(1, done / Math.max(1, this.#totalBytes));
    const left = (this.#totalBytes - done) / (this.#bytes / seconds);
    const bar = '#'.repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH, '.');
    return `[${bar}] ${Math.floor(share * 100)} %, ${figures}, about ${Math.ceil(left)} s left`;
  }

  #pace(): { readonly seconds: number; readonly rate: number } {
    const seconds = Math.max(0.001, (performance.now() - this.#started) / 1000);
    return { seconds, rate: Math.round(this.#keys / seconds) };
  }

  /** Takes the bar away, so that something else can be said. */
  clear(): void {
    if (!this.#quiet) process.stderr.write('\r\u001B[K');
  }

  /** The last line; `facts` are what there is to tell beside the keys. */
  end(json: boolean, facts: Readonly<Record<string, number>> = {}): void {
    this.clear();
    const { seconds, rate } = this.#pace();
    if (json) {
      print(
        JSON.stringify({ [this.#verb]: this.keys, ...facts, seconds: Number(seconds.toFixed(3)), keysPerSecond: rate }),
      );
      return;
    }
    const more = Object.entries(facts).map(([name, value]) => `, ${value} ${name}`);
    process.stderr.write(
      `${this.#verb} ${this.keys} keys${more.join('')} in ${seconds.toFixed(1)} s (${rate} keys/s)\n`,
    );
  }
}
