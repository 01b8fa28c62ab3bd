import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { Handshakes } from '#world/handshakes.ts';

class FakeSocket extends EventEmitter {
  readonly remoteAddress = '127.0.0.1';
  readonly localAddress = '127.0.0.1';
  readonly remotePort: number;
  wasBrokenOff = false;

  constructor(remotePort: number) {
    super();
    this.remotePort = remotePort;
  }

  destroy(): void {
    this.wasBrokenOff = true;
  }
}

test('those under way are broken off, and nobody who has shaken hands or is gone', () => {
  const server = new EventEmitter();
  const handshakes = new Handshakes(server);
  const half = new FakeSocket(1);
  const whole = new FakeSocket(2);
  const gone = new FakeSocket(3);
  const sameEnds = new FakeSocket(3);
  for (const socket of [half, whole, gone, sameEnds]) server.emit('connection', socket);
  server.emit('secureConnection', new FakeSocket(whole.remotePort));
  gone.emit('close');
  expect(handshakes.areOver).toBe(false);
  handshakes.breakOff();
  expect(handshakes.areOver).toBe(true);
  expect([half, whole, gone, sameEnds].map(({ wasBrokenOff }) => wasBrokenOff)).toEqual([true, false, false, true]);
});
