import { beforeEach, describe, expect, test } from 'vitest';
import { fromUtf8, utf8 } from '#kernel/bytes.ts';
import { Pieces } from '#kernel/pieces.ts';
import { MAX_QUEUED_BYTES } from '#world/limits.ts';
import { simulatedClock } from '#world/simulated/clock.ts';
import { SimulatedHost } from '#world/simulated/host.ts';
import { SimulatedNetwork } from '#world/simulated/network.ts';
import { Simulation } from '#world/simulated/scheduler.ts';
import type { Connection } from '#world/world.ts';

/** One end of a connection and what happened at it. */
interface End {
  connection: Connection | undefined;
  readonly events: string[];
}

describe('faults', () => {
  let simulation: Simulation;
  let network: SimulatedNetwork;
  let a: SimulatedHost;
  let b: SimulatedHost;
  let near: End;
  let far: End;

  beforeEach(async () => {
    simulation = new Simulation({ seed: 'faults' });
    network = new SimulatedNetwork(simulation);
    a = new SimulatedHost(simulation, 'a');
    b = new SimulatedHost(simulation, 'b');
    near = { connection: undefined, events: [] };
    far = { connection: undefined, events: [] };
    await listen();
    await simulation.settle(dial());
  });

  function follow(end: End) {
    return (connection: Connection) => {
      end.connection = connection;
      return {
        message: (message: Uint8Array) => void end.events.push(fromUtf8(message)),
        closed: (reason: string) => void end.events.push(`closed: ${reason}`),
      };
    };
  }

  function listen() {
    return network.port(b.process ?? b.start(), 'b:1').listen(follow(far));
  }

  function dial(timeout = 1000) {
    return network.port(a.process ?? a.start(), 'a:1').connect('b:1', 'foreground', timeout, follow(near));
  }

  function later(milliseconds: number) {
    return simulation.run(simulation.now + milliseconds);
  }

  test('a partition is silent, connects time out, and after it a lossy connection breaks without a gap', async () => {
    network.partition(a, b);
    near.connection!.send(utf8('lost'));
    await later(5000);
    expect([near.events, far.events]).toEqual([[], []]);
    await expect(simulation.settle(dial(200))).rejects.toThrow('cannot connect to b:1: no answer within 200 ms');
    network.heal(a, b);
    near.connection!.send(utf8('behind the gap'));
    await later(5000);
    expect(near.events).toEqual(['closed: connection lost: reset']);
    expect(far.events).toEqual(['closed: connection lost: reset']);
  });

  test('a connection that lost nothing outlives a partition', async () => {
    network.partition(a, b);
    await later(5000);
    network.clearFaults();
    near.connection!.send(utf8('still here'));
    await later(100);
    expect(far.events).toEqual(['still here']);
  });

  test('a partition in one direction', async () => {
    network.partition(a, b, true);
    near.connection!.send(utf8('lost'));
    far.connection!.send(utf8('heard'));
    await later(100);
    expect([near.events, far.events]).toEqual([['heard'], []]);
    network.clearFaults();
    await later(5000);
    expect(near.events).toEqual(['heard', 'closed: connection lost: reset']);
  });

  test('what is under way when the partition begins is lost', async () => {
    near.connection!.send(utf8('under way'));
    network.partition(a, b);
    await later(100);
    expect(far.events).toEqual([]);
  });

  test('the peer of a killed process is told, what it had sent arrives, and its port refuses', async () => {
    far.connection!.send(utf8('last words'));
    b.kill();
    far.connection!.send(utf8('ghost'));
    await later(100);
    expect(near.events).toEqual(['last words', 'closed: connection lost: reset']);
    expect(far.events).toEqual([]);
    await expect(simulation.settle(dial())).rejects.toThrow('the connection was refused');
    await listen();
    await simulation.settle(dial());
    near.connection!.send(utf8('again'));
    await later(100);
    expect(far.events).toEqual(['again']);
  });

  test('a death behind a partition is noticed at the first message after it', async () => {
    network.partition(a, b);
    b.kill();
    await later(1000);
    network.heal(a, b);
    await later(1000);
    expect(near.events).toEqual([]);
    near.connection!.send(utf8('hello?'));
    await later(100);
    expect(near.events).toEqual(['closed: connection lost: reset']);
  });

  test('a paused host accepts nothing, and closes what it accepts too late', async () => {
    b.pause();
    near.connection!.send(utf8('waits'));
    await expect(simulation.settle(dial(100))).rejects.toThrow('no answer within 100 ms');
    expect(far.events).toEqual([]);
    b.resume();
    await later(100);
    expect(far.events).toEqual(['waits', 'closed: closed by the other end: the dialer has given up']);
  });

  test('a peer that does not read fills the queue until the connection is given up', async () => {
    b.pause();
    const message = new Uint8Array(8 * 1024 * 1024);
    near.connection!.send(message);
    expect(near.connection!.queuedBytes).toBeGreaterThan(7 * 1024 * 1024);
    for (let sent = 0; sent <= MAX_QUEUED_BYTES + 2 * message.length; sent += message.length) {
      near.connection!.send(message);
      await later(1);
    }
    expect(near.events[0]).toMatch(/^closed: the other end does not read/);
  });

  test('pieces that were given to be sent must stay as they are until they have left', async () => {
    const part = new Uint8Array(50_000);
    near.connection!.send(new Pieces([part]));
    part.fill(1);
    await expect(later(100)).rejects.toThrow('changed before it had left');
  });

  test('breakConnections tells both ends', async () => {
    network.breakConnections(b, a);
    await later(100);
    expect([near.events, far.events]).toEqual([['closed: connection lost: reset'], ['closed: connection lost: reset']]);
  });

  test('drop, duplicate, delay and reset happen as often as asked', async () => {
    const send = async (count: number) => {
      far.events.length = 0;
      for (let i = 0; i < count; i++) near.connection!.send(utf8(`${i}`));
      await later(10_000);
      return far.events;
    };
    network.setFault(a, b, { drop: 0.25 });
    const kept = await send(2000);
    expect(kept.length).toBeGreaterThan(1400);
    expect(kept.length).toBeLessThan(1600);
    expect(kept.map(Number)).toEqual(kept.map(Number).toSorted((x, y) => x - y));
    network.setFault(a, b, { duplicate: 0.25 });
    const repeated = await send(2000);
    expect(repeated.length).toBeGreaterThan(2400);
    expect(new Set(repeated).size).toBe(2000);
    network.setFault(a, b, { delay: 1000 });
    const start = simulation.now;
    for (let i = 0; i < 20; i++) near.connection!.send(utf8(`late ${i}`));
    await simulation.run(() => far.events.at(-1) === 'late 19');
    expect(simulation.now - start).toBeGreaterThan(500);
    network.setFault(a, b, { reset: 0.05 });
    expect(await send(1000)).toContain('closed: connection lost: reset');
    expect(near.events).toEqual(['closed: connection lost: reset']);
  });

  test('a message that is late holds up those behind it', async () => {
    const start = simulation.now;
    network.setFault(a, b, { delay: 100_000 });
    near.connection!.send(utf8('late'));
    network.clearFaults();
    near.connection!.send(utf8('behind it'));
    await simulation.run(() => far.events.length > 0);
    expect(simulation.now - start).toBeGreaterThan(100);
    await later(10);
    expect(far.events).toEqual(['late', 'behind it']);
  });

  test('what the door sends first never arrives before the connection is open', async () => {
    network.setFault(b, a, { delay: 50 });
    for (let i = 0; i < 30; i++) {
      const address = `b:${100 + i}`;
      await network.port(b.process!, address).listen((connection) => {
        connection.send(new Uint8Array(70_000));
        return { message() {}, closed() {} };
      });
      let received = 0;
      const port = network.port(a.process!, 'a:1');
      const message = (bytes: Uint8Array) => void (received = bytes.length);
      await simulation.settle(port.connect(address, 'bulk', 10_000, () => ({ message, closed() {} })));
      await simulation.run(() => received === 70_000);
    }
  });

  test('counts messages and bytes of each direction and channel', async () => {
    near.connection!.send(utf8('12345'));
    near.connection!.send(utf8('1'));
    far.connection!.send(utf8('123'));
    expect(network.sent(a, b)).toEqual({ messages: 2, bytes: 6 });
    expect(network.sent(b, a, 'foreground')).toEqual({ messages: 1, bytes: 3 });
    expect(network.sent(b, a, 'bulk')).toEqual({ messages: 0, bytes: 0 });
    expect(network.sentInAll()).toEqual({ messages: 3, bytes: 9 });
  });

  test('an unknown address and a second listener', async () => {
    const port = network.port(a.process!, 'a:1');
    const attempt = port.connect('nowhere:1', 'bulk', 100, () => expect.unreachable());
    await expect(simulation.settle(attempt)).rejects.toThrow('cannot connect to nowhere:1: no such host');
    await expect(listen()).rejects.toThrow('cannot listen on b:1: the port is in use');
  });
});

/** Three nodes greet each other for ever, reconnect when they lose each other, and live through all kinds of faults. */
async function stormyRun(seed: number): Promise<{ hash: string; delivered: number; events: number }> {
  const simulation = new Simulation({ seed });
  const network = new SimulatedNetwork(simulation);
  const hosts = ['a', 'b', 'c'].map((name) => new SimulatedHost(simulation, name));
  let delivered = 0;
  const events = (connection: Connection, closed: () => void) => ({
    message(message: Uint8Array) {
      delivered++;
      if (message[0]! > 0) connection.send(Uint8Array.of(message[0]! - 1, ...message.subarray(1)));
    },
    closed,
  });
  const boot = (host: SimulatedHost) => {
    const process = host.start();
    const clock = simulatedClock(process);
    const port = network.port(process, `${host.name}:1`);
    const dial = async (to: string): Promise<void> => {
      const again = () => void clock.after(1 + (process.random.uint32() % 50), () => void dial(to));
      await port
        .connect(to, 'foreground', 100, (connection) => {
          connection.send(Uint8Array.of(20, ...process.random.bytes(10)));
          return events(connection, again);
        })
        .catch(again);
    };
    void port.listen((connection) => events(connection, () => {}));
    for (const other of hosts) if (other !== host) void dial(`${other.name}:1`);
  };
  const faults = simulation.random.fork('faults');
  const two = () => [hosts[faults.below(3)]!, hosts[faults.below(3)]!] as const;
  hosts.forEach(boot);
  for (let round = 0; round < 40; round++) {
    const [one, other] = two();
    const choice = faults.below(6);
    if (choice === 0) network.partition(one, other, faults.chance(0.5));
    if (choice === 1) network.clearFaults();
    if (choice === 2) network.breakConnections(one, other);
    if (choice === 3) network.setFault(one, other, { drop: 0.1, duplicate: 0.1, reset: 0.01, delay: 5 });
    if (choice === 4) {
      one.kill();
      boot(one);
    }
    if (choice === 5 && other !== one) {
      if (one.paused) one.resume();
      else one.pause();
    }
    await simulation.run(simulation.now + faults.below(100));
  }
  return { hash: simulation.hash(), delivered, events: simulation.events };
}

test('equal seeds give equal runs, other seeds other runs, and the faults leave something to happen', async () => {
  const hashes = new Set<string>();
  for (let seed = 0; seed < 8; seed++) {
    const first = await stormyRun(seed);
    const second = await stormyRun(seed);
    expect(second).toEqual(first);
    expect(first.delivered, `seed ${seed}`).toBeGreaterThan(200);
    hashes.add(first.hash);
  }
  expect(hashes.size).toBe(8);
});
