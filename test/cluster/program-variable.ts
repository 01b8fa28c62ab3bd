/** The environment variable that tells the processes of tests where the program is that program.ts has made. */
export const PROGRAM = 'PROGRAM_UNDER_TEST';
/** Has a process of it keep, at its end, what has been compiled. */
export const KEEPING = 'PROGRAM_UNDER_TEST_KEEPS_COMPILED';
