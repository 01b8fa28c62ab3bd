/** What makes a peer usable, doubtful or down, one thing at a time. */

import { expect, test } from 'vitest';
import { nodeId, type NodeId } from '#kernel/identity.ts';
import type { Standing } from '#membership/member-table.ts';
import { Reachability } from '#membership/reachability.ts';
import { SimulatedMetrics } from '#world/simulated/metrics.ts';
import type { CallEnding } from '#wire/messaging.ts';
import type { World } from '#world/world.ts';

const PEER = nodeId('n2');

/** Everything that is known of the one peer, to be changed at will. */
class Sources {
  now = 0;
  readonly logged: string[] = [];
  readonly changes: string[] = [];
  readonly peers: Reachability;
  #open = false;
  #standing: Standing = 'alive';
  #silent = false;
  #tell: (peer: NodeId) => void = () => undefined;
  #judged: (peer: NodeId) => void = () => undefined;
  #tick: () => void = () => undefined;
  #callEnded: (peer: NodeId, ending: CallEnding) => void = () => undefined;

  /** Messages that leave at the end of the turn. */
  gathered = 0;

  constructor() {
    const log = (event: string): number => this.logged.push(event);
    this.peers = new Reachability({
      world: {
        clock: { monotonic: () => this.now },
        metrics: new SimulatedMetrics(),
        log: { debug: log, info: log, warn: log, error: log },
      } as unknown as World,
      messaging: {
        reachable: () => this.#open,
        gathered: () => this.gathered,
        onReachability: (listener) => {
          this.#tell = (peer) => listener(peer, this.#open);
        },
        onCallEnd: (listener) => {
          this.#callEnded = listener;
        },
      },
      membership: {
        standing: () => this.#standing,
        isSilent: () => this.#silent,
        onChange: (listener) => {
          this.#judged = listener;
        },
        onTick: (listener) => {
          this.#tick = listener;
        },
      },
      work: ['work'],
    });
    this.peers.onChange((_peer, now) => this.changes.push(now));
  }

  set(state: { open?: boolean; standing?: Standing; silent?: boolean }): void {
    this.#open = state.open ?? this.#open;
    this.#standing = state.standing ?? this.#standing;
    this.#silent = state.silent ?? this.#silent;
    if (state.open !== undefined) this.#tell(PEER);
    this.#judged(PEER);
  }

  pass(milliseconds: number): void {
    this.now += milliseconds;
    this.#tick();
  }

  ended(result: CallEnding['result'], reason = '', elapsed = 1000, peer = PEER): void {
    this.#callEnded(peer, { name: 'work', result, reason, elapsed });
  }
}

test('each of connection, standing and silence counts', () => {
  const sources = new Sources();
  const { peers } = sources;
  expect(peers.assess(PEER)).toBe('down');
  sources.set({ open: true });
  // One that was left out a moment ago and is back now is told of with a reason, too.
  expect([peers.assess(PEER), peers.why(PEER)]).toEqual(['usable', 'away until just now']);
  sources.set({ silent: true });
  expect([peers.assess(PEER), peers.why(PEER)]).toEqual(['doubtful', 'silent']);
  sources.set({ silent: false, standing: 'suspect' });
  expect([peers.assess(PEER), peers.why(PEER)]).toEqual(['doubtful', 'suspected']);
  sources.set({ standing: 'dead', silent: true });
  expect([peers.assess(PEER), peers.why(PEER)]).toEqual(['down', 'dead']);
  sources.set({ standing: 'alive', silent: false });
  expect(peers.usable(PEER)).toBe(true);
  sources.set({ open: false });
  expect([peers.assess(PEER), peers.why(PEER)]).toEqual(['down', 'not connected']);
  expect(sources.changes).toEqual(['usable', 'doubtful', 'down', 'usable', 'down']);
});

test('a peer that others call dead is still tried as long as it answers this node', () => {
  const sources = new Sources();
  const { peers } = sources;
  sources.set({ open: true });
  sources.set({ standing: 'dead' });
  expect([peers.assess(PEER), peers.why(PEER)]).toEqual(['doubtful', 'dead']);
  sources.set({ silent: true });
  expect([peers.assess(PEER), peers.why(PEER)]).toEqual(['down', 'dead']);
  sources.set({ silent: false, standing: 'left' });
  expect([peers.assess(PEER), peers.why(PEER)]).toEqual(['down', 'left']);
});

test('a peer that was believed dead and proves who it is is tried again before it could refute', () => {
  const sources = new Sources();
  const { peers } = sources;
  sources.set({ open: true });
  sources.set({ standing: 'dead', silent: true });
  expect(peers.assess(PEER)).toBe('down');
  sources.set({ open: false });
  sources.set({ open: true });
  expect([peers.assess(PEER), peers.why(PEER)]).toEqual(['doubtful', 'dead']);
  sources.set({ standing: 'alive', silent: false });
  expect(peers.assess(PEER)).toBe('usable');
});

test('a peer that fails is tried by one request a second until one succeeds', () => {
  const sources = new Sources();
  const { peers } = sources;
  sources.set({ open: true });
  for (let i = 0; i < 5; i++) sources.ended('lost', 'timeout');
  expect([peers.assess(PEER), peers.why(PEER), peers.answers(PEER)]).toEqual(['doubtful', 'fails', false]);
  sources.pass(900);
  expect(peers.consider(PEER)).toBe('doubtful');
  sources.pass(100);
  // To look is not to try.
  expect(peers.assess(PEER)).toBe('doubtful');
  expect([peers.consider(PEER), peers.consider(PEER)]).toEqual(['usable', 'usable']);
  peers.asked(PEER);
  expect(peers.consider(PEER)).toBe('doubtful');
  sources.pass(1000);
  expect(peers.consider(PEER)).toBe('usable');
  peers.asked(PEER);
  expect(peers.consider(PEER)).toBe('doubtful');
  sources.ended('reply');
  expect(peers.usable(PEER)).toBe(true);
  expect(sources.logged).toEqual(['breaker-opened', 'breaker-closed']);
});

test('a peer is slow when another does the same work many times faster', () => {
  const sources = new Sources();
  const { peers } = sources;
  const work = (elapsed: number, other: number): void => {
    for (let i = 0; i < 50; i++) {
      sources.ended('reply', '', elapsed);
      sources.ended('reply', '', other, nodeId('n3'));
    }
    for (let i = 0; i < 10; i++) sources.pass(50);
  };
  work(100, 1);
  expect([peers.isSlow(PEER), peers.isSlow(nodeId('n3'))]).toEqual([true, false]);
  // A few milliseconds are no reason to prefer anybody, nor is it when all are slow.
  work(9, 1);
  expect(peers.isSlow(PEER)).toBe(false);
  work(300, 200);
  expect(peers.isSlow(PEER)).toBe(false);
});

test('a peer that is being written to anyway is preferred, until it is much', () => {
  const sources = new Sources();
  const isGathering = [0, 1, 15, 16].map((gathered) => {
    sources.gathered = gathered;
    return sources.peers.isGathering(PEER);
  });
  expect(isGathering).toEqual([false, true, true, false]);
});

test('a peer that comes and goes is held down for a while', () => {
  const sources = new Sources();
  const { peers } = sources;
  for (let i = 0; i < 3; i++) {
    sources.set({ open: true });
    expect(peers.usable(PEER)).toBe(true);
    sources.set({ open: false });
  }
  sources.set({ open: true });
  expect([peers.assess(PEER), peers.why(PEER), peers.answers(PEER)]).toEqual(['doubtful', 'comes and goes', true]);
  sources.pass(999);
  expect(peers.usable(PEER)).toBe(false);
  sources.pass(1);
  expect(peers.usable(PEER)).toBe(true);
  expect(sources.logged).toEqual(['peer-held-down']);
});
