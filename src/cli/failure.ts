/** What has gone wrong, as one line on stderr and an exit status that scripts can act on; see output.ts. */

import { QuoralError, type ErrorCode } from '#client/errors.ts';
import { hintFor } from './client-tls.ts';
import { EXIT, fail, UsageError, type ExitStatus } from './output.ts';

const CONFLICTS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'conflict',
  'too-many-siblings',
  'precondition-failed',
  'idempotency-mismatch',
]);
const NOBODY: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['unreachable', 'timed-out', 'bad-answer']);

/** What the system says of a file or a device: it names it, and what is wrong. */
function isOfSystem(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error && 'errno' in error;
}

/** Of errors that nobody can mend at the keyboard it leaves the stack to the runtime. */
export function failure(error: unknown): void {
  if (error instanceof UsageError) fail(error.message, error.exitStatus);
  else if (isOfSystem(error)) fail(error.message);
  else if (error instanceof QuoralError) {
    const { outcome, code, message } = error;
    const hint = code === 'unreachable' ? hintFor(error.cause) : '';
    fail(`${message}${outcome === undefined ? '' : ` (outcome: ${outcome})`}${hint}`, statusOf(error));
  } else throw error;
}

function statusOf({ outcome, code }: QuoralError): ExitStatus {
  if (outcome === 'unknown') return EXIT.unknown;
  if (NOBODY.has(code)) return EXIT.unreachable;
  return CONFLICTS.has(code) ? EXIT.conflict : EXIT.wrong;
}
