/**
 * The client's only way out: requests, time and chance. Everything else of this room gets them from here, so that tests can
 * bring their own, and so that nothing of it is tied to Node.js or to a browser.
 */

/** As in browsers and in Node.js; another one may bring its own connections, certificates or proxies. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface Runtime {
  readonly fetch: Fetch;
  /** Milliseconds of a clock that only goes forwards. */
  now(): number;
  /** From 0 to below 1. */
  random(): number;
  /** Calls back once after so many milliseconds; what it returns takes that back. */
  after(milliseconds: number, callback: () => void): () => void;
  /** A text that no other client in the world has. */
  uniqueId(): string;
}

/** The global ones, unless another way to send requests is given. */
export function realRuntime(wanted: Fetch | undefined): Runtime {
  return {
    fetch: wanted ?? (async (url, init) => fetch(url, init)),
    now: () => performance.now(),
    random: () => Math.random(),
    after: (milliseconds, callback) => {
      const timer = setTimeout(callback, milliseconds);
      return () => clearTimeout(timer);
    },
    uniqueId: randomText,
  };
}

function randomText(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Resolves after the time, or as soon as the signal says that nobody waits any more. */
export async function pause(
  runtime: Pick<Runtime, 'after'>,
  milliseconds: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (milliseconds <= 0 || signal?.aborted === true) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = runtime.after(milliseconds, done);
    signal?.addEventListener('abort', done);
  });
}
