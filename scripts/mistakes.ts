/** What somebody has typed wrong at a script, told in one line and with exit status 2; any other error is one of the program. */

export class Mistake extends Error {}

export async function tellingMistakes(script: string, main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    const mistake = mistakeIn(error);
    if (mistake === undefined) throw error;
    console.error(`${script}: ${mistake} (--help lists what there is)`);
    process.exitCode = 2;
  }
}

/** Node says `Unknown option '--x'.` and then how positional arguments are given, of which no script takes any. */
export function mistakeIn(error: unknown): string | undefined {
  if (error instanceof Mistake) return error.message;
  if (!(error instanceof Error) || !String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS_'))
    return undefined;
  return error.message.split(/\.(?:\s|$)/)[0]!;
}
