/** Renders what happened in a run for a person: the time, then a column for each node, and one for the rest. */

interface Entry {
  readonly time: number;
  readonly host: string;
  readonly text: string;
}

const TIME_WIDTH = 10;
const ENTRIES_MAX = 500_000;

export class Timeline {
  readonly #entries: Entry[] = [];

  add(time: number, host: string, text: string): void {
    if (this.#entries.length < ENTRIES_MAX) this.#entries.push({ time, host, text });
  }

  /** `width`: characters of a line. */
  *render(nodes: number, width: number): Iterable<string> {
    const columns = ['', ...Array.from({ length: nodes }, (_, i) => `n${i + 1}`)];
    const each = Math.max(16, Math.floor((width - TIME_WIDTH) / columns.length) - 3);
    const line = (time: string, cells: readonly string[]): string =>
      `${time.padStart(TIME_WIDTH)} | ${cells.map((cell) => cell.padEnd(each)).join(' | ')}`.trimEnd();
    yield line(
      'ms',
      columns.map((name) => (name === '' ? 'clients, network' : name)),
    );
    for (const { time, host, text } of this.#entries) {
      const at = Math.max(0, columns.indexOf(host));
      for (const [i, piece] of pieces(text, each).entries()) {
        yield line(
          i === 0 ? time.toFixed(1) : '',
          columns.map((_, column) => (column === at ? piece : '')),
        );
      }
    }
  }
}

function pieces(text: string, width: number): readonly string[] {
  const found: string[] = [];
  for (let at = 0; at < text.length; at += width) found.push(text.slice(at, at + width));
  return found;
}
