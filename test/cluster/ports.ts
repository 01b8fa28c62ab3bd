/**
 * Ports for the nodes of tests. Between the choice of a port and its use lies the start of a process, and while a node is down
 * its port is free: another test's node could take it, and this test would talk to that one, which ends when that test does. So
 * a port is held from its choice to the end of the process that chose it, at another address of this machine: whoever chooses
 * asks there, and nodes listen at 127.0.0.1.
 */

import { randomInt } from 'node:crypto';
import { createServer, type Server } from 'node:net';

/** Below the ports that Linux gives to outgoing connections, which would take one while its node is down. */
const PORTS = { from: 10_000, to: 32_000 };
const HERE = '127.0.0.1';
/** All of 127.0.0.0/8 is this machine, on Linux; where it is not, nothing is held. */
const HELD_AT = '127.0.0.2';

/** Ports that nothing listens on, and that no other test is given. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freeBase([0]));
  return ports;
}

/** Choices before nothing is taken to be free. */
const TRIES = 1000;

/** A port that is free together with those that lie so far above it. */
export async function freeBase(offsets: readonly number[], { from, to }: typeof PORTS = PORTS): Promise<number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const base = randomInt(from, to - Math.max(...offsets));
    const holds: Hold[] = [];
    for (const offset of offsets) {
      const hold = await holding(base + offset);
      if (hold === undefined) break;
      holds.push(hold);
    }
    if (holds.length === offsets.length) return base;
    for (const hold of holds) hold.end();
  }
  throw new Error(`no ports are free from ${from} to ${to}`);
}

interface Hold {
  end(): void;
}

/** Holds a port as long as this process lives; undefined when another one does, or listens on it. */
async function holding(port: number): Promise<Hold | undefined> {
  const held = await listening(port, HELD_AT);
  if (held === 'in use') return undefined;
  const hold = { end: () => (held === 'no such address' ? undefined : held.close()) };
  const here = await listening(port, HERE);
  if (here === 'in use' || here === 'no such address') {
    hold.end();
    return undefined;
  }
  await new Promise((resolve) => here.close(resolve));
  return hold;
}

function listening(port: number, host: string): Promise<Server | 'in use' | 'no such address'> {
  return new Promise((resolve) => {
    const server = createServer().unref();
    server.once('error', ({ code }: NodeJS.ErrnoException) =>
      resolve(code === 'EADDRNOTAVAIL' ? 'no such address' : 'in use'),
    );
    server.listen(port, host, () => resolve(server));
  });
}
