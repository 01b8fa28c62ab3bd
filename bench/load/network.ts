/**
 * A real network between the nodes of a benchmark, which can be cut: each node is in a network namespace of its own, with one
 * interface towards the other nodes and one towards clients. A cut is a wrong hardware address for a neighbour: what is sent there
 * arrives nowhere, and nobody is told, as when a switch fails. Clients are not cut off. Linux, as root, with `ip` (iproute2).
 */

import { spawnSync } from 'node:child_process';
import { undoWhenInterrupted } from '../interruption.ts';

/** Of the range for benchmarks of networks (RFC 2544). */
const PEERS = '198.18.0';
const CLIENTS = '198.19.0';
const NOBODY = '02:00:00:00:00:00';

function ip(...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${error?.message ?? stderr.trim()}`, { cause: error });
}

export class Network {
  readonly #ids: readonly string[];
  /** Names of interfaces have 15 characters at most. */
  readonly #prefix = `qb${process.pid % 100_000}`;

  constructor(ids: readonly string[]) {
    this.#ids = ids;
  }

  peerHost(id: string): string {
    return `${PEERS}.${this.#number(id)}`;
  }

  clientHost(id: string): string {
    return `${CLIENTS}.${this.#number(id)}`;
  }

  /** What a program has to be started with to be in the node's namespace. */
  enter(id: string): readonly string[] {
    return ['ip', 'netns', 'exec', this.#space(id)];
  }

  up(): void {
    undoWhenInterrupted(() => this.down());
    for (const side of ['p', 'c']) {
      ip('link', 'add', `${this.#prefix}${side}`, 'type', 'bridge');
      ip('link', 'set', `${this.#prefix}${side}`, 'up');
    }
    ip('address', 'add', `${CLIENTS}.254/24`, 'dev', `${this.#prefix}c`);
    for (const id of this.#ids) this.#join(id);
    this.heal();
  }

  /** Nothing that this node sends to other nodes arrives, and nothing that they send to it. */
  cut(id: string): void {
    for (const other of this.#ids) {
      if (other === id) continue;
      this.#point(id, other, NOBODY);
      this.#point(other, id, NOBODY);
    }
  }

  heal(): void {
    for (const from of this.#ids)
      for (const to of this.#ids) if (from !== to) this.#point(from, to, this.#hardwareAddress(to));
  }

  /** Takes away what is there of it. */
  down(): void {
    for (const id of this.#ids) spawnSync('ip', ['netns', 'delete', this.#space(id)]);
    for (const side of ['p', 'c']) spawnSync('ip', ['link', 'delete', `${this.#prefix}${side}`]);
  }

  #join(id: string): void {
    const space = this.#space(id);
    ip('netns', 'add', space);
    ip('-n', space, 'link', 'set', 'lo', 'up');
    for (const [side, host] of [
      ['p', this.peerHost(id)],
      ['c', this.clientHost(id)],
    ] as const) {
      const outside = `${this.#prefix}${side}${this.#number(id)}`;
      ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', side, 'netns', space);
      ip('link', 'set', outside, 'master', `${this.#prefix}${side}`, 'up');
      if (side === 'p') ip('-n', space, 'link', 'set', side, 'address', this.#hardwareAddress(id));
      ip('-n', space, 'address', 'add', `${host}/24`, 'dev', side);
      ip('-n', space, 'link', 'set', side, 'up');
    }
  }

  #point(from: string, to: string, hardwareAddress: string): void {
    const neighbour = [this.peerHost(to), 'lladdr', hardwareAddress, 'dev', 'p', 'nud', 'permanent'];
    ip('-n', this.#space(from), 'neighbour', 'replace', ...neighbour);
  }

  #number(id: string): number {
    return this.#ids.indexOf(id) + 1;
  }

  #space(id: string): string {
    return `${this.#prefix}-${id}`;
  }

  #hardwareAddress(id: string): string {
    return `02:00:00:00:01:${this.#number(id).toString(16).padStart(2, '0')}`;
  }
}
