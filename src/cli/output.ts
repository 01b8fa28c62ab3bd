/**
 * How the command line speaks: results on stdout, trouble as one line on stderr and exit status 1.
 */

/** Something the person at the keyboard can mend; the message says what. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function fail(line: string): void {
  process.stderr.write(`quoral: ${line}\n`);
  process.exitCode = 1;
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
