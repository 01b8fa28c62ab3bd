import { once } from 'node:events';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { connect as connectTcp, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { fromUtf8, utf8 } from '#kernel/bytes.ts';
import { MAX_QUEUED_BYTES } from '#world/limits.ts';
import { createNetwork } from '#world/real/network.ts';
import type { Connection, Listener, Network } from '#world/world.ts';
import { until } from '../../until.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const UPGRADE =
  'GET /peer HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: quoral/1\r\nquoral-channel: bulk\r\n\r\n';

function network(options: { maxConnections?: number; maxReassemblyBytes?: number } = {}): Network {
  return createNetwork({ listenHost: '127.0.0.1', listenPort: 0, log, ...options });
}

function portOf(address: string): number {
  return Number(address.split(':')[1]);
}

/** Collects what a raw socket receives until it is closed. */
async function answer(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.on('error', () => {});
  await once(socket, 'close');
  return text;
}

describe('the door', () => {
  let listener: Listener;
  let accepted: Connection[];
  let events: string[];
  let isKnown: boolean;

  async function open(options: { maxConnections?: number; maxReassemblyBytes?: number } = {}): Promise<void> {
    accepted = [];
    events = [];
    isKnown = true;
    listener = await network(options).listen((connection) => {
      accepted.push(connection);
      return {
        message: (message) => void events.push(`message of ${message.length}`),
        takesLarge: () => isKnown,
        closed: (reason) => void events.push(reason),
      };
    });
  }

  beforeEach(() => open());
  afterEach(() => listener.close());

  function visit(): Socket {
    return connectTcp(portOf(listener.address), '127.0.0.1');
  }

  async function visitUpgraded(): Promise<Socket> {
    const socket = visit();
    socket.write(UPGRADE);
    const [head] = (await once(socket, 'data')) as [Buffer];
    expect(head.toString()).toMatch(/^HTTP\/1.1 101 .*\r\n\r\n$/s);
    return socket;
  }

  test.each([
    ['another path', 'GET / HTTP/1.1\r\nhost: a\r\n\r\n', /^HTTP\/1.1 404 .*quoral\/1/s],
    ['no upgrade', 'GET /peer HTTP/1.1\r\nhost: a\r\n\r\n', /^HTTP\/1.1 426 .*quoral\/1/s],
    ['another protocol', UPGRADE.replace('quoral/1', 'websocket'), /^HTTP\/1.1 426 .*upgrade: quoral\/1/s],
    ['a newer protocol', UPGRADE.replace('quoral/1', 'quoral/2'), /^HTTP\/1.1 426 .*upgrade: quoral\/1/s],
    ['no channel', UPGRADE.replace('quoral-channel: bulk\r\n', ''), /^HTTP\/1.1 426 /],
    ['an unknown channel', UPGRADE.replace('bulk', 'both'), /^HTTP\/1.1 426 /],
    ['another method', UPGRADE.replace('GET', 'POST'), /^HTTP\/1.1 426 /],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', /^HTTP\/1.1 400 /],
    ['endless headers', `GET /peer HTTP/1.1\r\nx: ${'a'.repeat(20_000)}`, /^HTTP\/1.1 431 /],
  ])('answers %s and closes', async (_what, request, expected) => {
    const socket = visit();
    socket.write(request, 'latin1');
    expect(await answer(socket)).toMatch(expected);
    expect(accepted).toEqual([]);
  });

  test('survives garbage instead of a request', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (garbage) => {
        const socket = visit();
        socket.end(garbage);
        await answer(socket);
      }),
      { numRuns: 50 },
    );
    (await visitUpgraded()).destroy();
  });

  test('garbage after the upgrade closes that connection with a reason, and no other', async () => {
    const good = await visitUpgraded();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 4, maxLength: 300 }), async (garbage) => {
        const before = events.length;
        const socket = await visitUpgraded();
        socket.end(garbage);
        await answer(socket);
        await until(() => events.length > before);
        expect(events.at(-1)).toMatch(/^(protocol violation: |the other end went away|closed by the other end: )/);
      }),
      { numRuns: 100 },
    );
    good.write(Buffer.from('01000002abcd', 'hex'));
    await until(() => events.at(-1) === 'message of 2');
    good.destroy();
  });

  test('the visitor is told which rule it broke', async () => {
    const socket = await visitUpgraded();
    const told = answer(socket);
    socket.write(Buffer.from('0200ffff0fffffff', 'hex'));
    expect(await told).toBe(`\x04\0\0\x44protocol violation: message of 268435455 bytes, allowed are 67108864`);
    expect(events).toEqual(['protocol violation: message of 268435455 bytes, allowed are 67108864']);
  });

  test('frames that come together with the upgrade request are read', async () => {
    const socket = visit();
    socket.write(Buffer.concat([Buffer.from(UPGRADE), Buffer.from('0100000161', 'hex')]));
    await until(() => events.length === 1);
    expect(events).toEqual(['message of 1']);
    socket.destroy();
    await until(() => events.length === 2);
  });

  test('large messages begun on many connections stay within the budget', async () => {
    await listener.close();
    await open({ maxReassemblyBytes: 4 * 9 * 1024 * 1024 });
    const sockets: Socket[] = [];
    for (let i = 0; i < 10; i++) {
      const socket = await visitUpgraded();
      socket.on('error', () => {});
      socket.write(Buffer.from('0201000000900000', 'hex'));
      sockets.push(socket);
    }
    await until(() => events.length === 6);
    expect(new Set(events)).toEqual(new Set(['protocol violation: too many large messages at once']));
    for (const socket of sockets) socket.destroy();
    await until(() => events.length === 10);
    const again = await visitUpgraded();
    again.write(
      Buffer.concat([Buffer.from('0201000000010001', 'hex'), Buffer.alloc(65_536), Buffer.from('0300000100', 'hex')]),
    );
    await until(() => events.at(-1) === 'message of 65537');
    again.destroy();
  });

  test('strangers get none of it', async () => {
    await listener.close();
    await open({ maxReassemblyBytes: 1024 * 1024 });
    isKnown = false;
    const stranger = await visitUpgraded();
    const told = answer(stranger);
    stranger.write(Buffer.from('0201000000090000', 'hex'));
    expect(await told).toMatch(/protocol violation: a large message before the other end is known$/);
    isKnown = true;
    const peer = await visitUpgraded();
    peer.write(
      Buffer.concat([Buffer.from('0201000000010001', 'hex'), Buffer.alloc(65_536), Buffer.from('0300000100', 'hex')]),
    );
    await until(() => events.at(-1) === 'message of 65537');
    peer.destroy();
  });

  test('more visitors than allowed are turned away', async () => {
    await listener.close();
    await open({ maxConnections: 2 });
    const sockets = [await visitUpgraded(), await visitUpgraded()];
    expect(await answer(visit())).toBe('');
    for (const socket of sockets) socket.destroy();
    await until(() => events.length === 2);
    (await visitUpgraded()).destroy();
  });

  test('a port in use is named', async () => {
    const port = portOf(listener.address);
    const second = createNetwork({ listenHost: '127.0.0.1', listenPort: port, log });
    await expect(second.listen(() => expect.unreachable())).rejects.toThrow(
      `the peer door cannot listen on 127.0.0.1:${port}: the port is in use by another process (EADDRINUSE)`,
    );
  });

  test('an address that the machine does not have is named', async () => {
    const elsewhere = createNetwork({ listenHost: '192.0.2.1', listenPort: 0, log });
    await expect(elsewhere.listen(() => expect.unreachable())).rejects.toThrow('192.0.2.1:0: this machine has no such');
  });
});

describe('dialing', () => {
  const servers: (Server | HttpServer)[] = [];
  const sockets: Socket[] = [];

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) {
      server.close();
      await once(server, 'close');
    }
  });

  async function serve(server: Server | HttpServer): Promise<string> {
    server.on('connection', (socket: Socket) => sockets.push(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const dial = (address: string) => network().connect(address, 'foreground', 500, () => expect.unreachable());

  test.each(['', 'n1', 'n1:', ':1', 'n1:0', 'n1:65536', 'n1:1/x', 'http://n1:1', 'a@n1:1', 'n1:1 '])(
    'the address %j is refused',
    async (address) => {
      await expect(dial(address)).rejects.toThrow(`peer address ${JSON.stringify(address)} is not host:port`);
    },
  );

  test('an HTTP server that is no peer door', async () => {
    const address = await serve(createHttpServer((_request, response) => response.end('hello')));
    await expect(dial(address)).rejects.toThrow(
      `cannot connect to ${address}: it answered with HTTP status 200: not a peer`,
    );
  });

  test('a server that changes over to something else', async () => {
    const address = await serve(
      createServer((socket) => {
        socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
      }),
    );
    await expect(dial(address)).rejects.toThrow('it changed over to "websocket", not to quoral/1');
  });

  test('a server that hangs up, and one that speaks no HTTP', async () => {
    await expect(dial(await serve(createServer((socket) => socket.destroy())))).rejects.toThrow('cannot connect to');
    await expect(dial(await serve(createServer((socket) => socket.end('SSH-2.0\r\n'))))).rejects.toThrow(
      'cannot connect to',
    );
  });

  test('a host that does not exist', async () => {
    await expect(dial('no-such-host.invalid:1')).rejects.toThrow('cannot connect to no-such-host.invalid:1: ');
  });

  /** A peer door behind which somebody reads only when told to. */
  async function slowReader(): Promise<{ address: string; peer: () => Socket }> {
    const address = await serve(
      createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', () => {
          socket.pause();
          socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: quoral/1\r\n\r\n');
        });
      }),
    );
    return { address, peer: () => sockets[0]! };
  }

  test('small messages overtake large ones that the other end is slow to take', async () => {
    const { address, peer } = await slowReader();
    let connection!: Connection;
    await network().connect(address, 'foreground', 500, (opened) => {
      connection = opened;
      return { message() {}, closed() {} };
    });
    for (let i = 0; i < 4; i++) connection.send(new Uint8Array(8_000_000));
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    expect(connection.queuedBytes).toBeGreaterThan(8_000_000);
    connection.send(utf8('urgent'));
    // It may have to wait for longer than this turn.
    expect(connection.gathered).toBe(0);
    connection.flush();
    let received = Buffer.alloc(0);
    let urgentAt = -1;
    peer().on('data', (chunk: Buffer) => {
      if (urgentAt >= 0) return;
      received = Buffer.concat([received, chunk]);
      urgentAt = received.indexOf('urgent');
    });
    peer().resume();
    await until(() => urgentAt >= 0);
    expect(urgentAt).toBeLessThan(24_000_000);
    await until(() => connection.queuedBytes === 0);
    connection.close('done');
  });

  test('a peer that stops reading is given up when too much waits for it', async () => {
    const { address, peer } = await slowReader();
    let connection!: Connection;
    const reasons: string[] = [];
    await network().connect(address, 'bulk', 500, (opened) => {
      connection = opened;
      return { message() {}, closed: (reason) => void reasons.push(reason) };
    });
    const message = new Uint8Array(8_000_000);
    for (let sent = 0; sent <= MAX_QUEUED_BYTES + message.length; sent += message.length) connection.send(message);
    await new Promise((resolve) => setImmediate(resolve));
    expect(reasons).toEqual([`the other end does not read: more than ${MAX_QUEUED_BYTES} bytes are waiting for it`]);
    expect(connection.queuedBytes).toBe(0);
    peer().resume();
    await once(peer(), 'end');
    expect(peer().bytesRead, 'what was queued is forgotten').toBeLessThan(MAX_QUEUED_BYTES / 2);
  });

  test('messages of one turn leave in one write', async () => {
    const { address, peer } = await slowReader();
    let connection!: Connection;
    await network().connect(address, 'foreground', 500, (opened) => {
      connection = opened;
      return { message() {}, closed() {} };
    });
    for (let i = 0; i < 50; i++) connection.send(utf8(`message ${i}`));
    const chunks: Buffer[] = [];
    peer().on('data', (chunk: Buffer) => chunks.push(chunk));
    peer().resume();
    await until(() => chunks.length > 0);
    expect(fromUtf8(chunks[0]!)).toContain('message 49');
    connection.close('done');
  });
});
