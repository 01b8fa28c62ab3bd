/** The environment variable that tells the processes of tests where the program is that program.ts has made. */
export const PROGRAM = 'PROGRAM_UNDER_TEST';
