/**
 * How the command line speaks: results on stdout, trouble as one line on stderr. The exit status is for scripts:
 *
 * 0 it is done, or there was nothing to do; 1 something is wrong with the request or the cluster; 2 it conflicts with the present
 * state (409), and may be right later; 3 what was waited for has been taken back; 4 no node answers; 5 whether it was done is not
 * known.
 */

export const EXIT = { wrong: 1, conflict: 2, aborted: 3, unreachable: 4, unknown: 5 } as const;
export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

/** In the place of a file: standard input or output. */
export const STANDARD = '-';

/** Something the person at the keyboard can mend; the message says what. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
  readonly exitStatus: ExitStatus;

  constructor(message: string, exitStatus: ExitStatus = EXIT.wrong) {
    super(message);
    this.exitStatus = exitStatus;
  }
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function fail(line: string, exitStatus: ExitStatus = EXIT.wrong): void {
  process.stderr.write(`quoral: ${line}\n`);
  process.exitCode = exitStatus;
}

let outlivesReader = false;

/** From now on nobody has to read what this process prints, such as that of a cluster that goes on. */
export function outliveReader(): void {
  outlivesReader = true;
}

/** A reader that has seen enough, such as `head`, ends a verb without a word; an output that cannot be written with one line. */
export function mindOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (outlivesReader) return;
    if (error.code !== 'EPIPE') fail(`the output cannot be written: ${error.message}`);
    process.exit(EXIT.wrong);
  });
  // Where complaints cannot be written there is nobody to tell.
  process.stderr.on('error', () => undefined);
}

/** Columns as wide as their widest cell; numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (/^[\d.]+%?$/.test(cell) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd();
  return [line(head), ...rows.map(line)].join('\n');
}
