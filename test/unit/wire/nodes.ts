/**
 * Nodes of this room alone, on a fake hub, and a message for them to send.
 */

import { utf8 } from '#kernel/bytes.ts';
import { nodeId } from '#kernel/identity.ts';
import type { NodeId } from '#kernel/identity.ts';
import type { MessageType } from '#wire/message.ts';
import type { CallResult, Handler, Messaging } from '#wire/messaging.ts';
import { createMessaging } from '#wire/peers.ts';
import type { WireOptions } from '#wire/peers.ts';
import { asArray, asBytes, asString } from '#wire/shape.ts';
import type { FakeHub, FakeWorld } from './fake-world.ts';

export interface Note {
  readonly text: string;
  readonly bytes: Uint8Array;
}

export const echo: MessageType<Note, Note> = {
  name: 'test.echo',
  encodeRequest: (note) => [note.text, note.bytes],
  decodeRequest: readNote,
  encodeReply: (note) => [note.text, note.bytes],
  decodeReply: readNote,
};

function readNote(body: unknown): Note {
  const parts = asArray(body, 2, 'note');
  return { text: asString(parts[0], 'note text', 1_000), bytes: asBytes(parts[1], 'note bytes', 10_000_000) };
}

export function note(text: string, size = 0): Note {
  return { text, bytes: new Uint8Array(size).fill(7) };
}

/** What an earlier version of the program speaks. */
export const VERSION_1 = { lowest: 1, highest: 1 };

export interface TestNode {
  readonly id: NodeId;
  readonly world: FakeWorld;
  readonly messaging: Messaging;
  /** The requests that its handler has been given. */
  readonly handled: string[];
  readonly reachability: string[];
  readonly epochs: string[];
  /** Log lines of an event, as fields. */
  logged(event: string): readonly Readonly<Record<string, unknown>>[];
}

export interface NodeChange {
  readonly handler?: Handler<Note, Note>;
  readonly options?: Partial<Omit<WireOptions, 'self'>>;
  readonly self?: Partial<WireOptions['self']>;
}

export function makeNode(hub: FakeHub, name: string, change: NodeChange = {}): TestNode {
  const world = hub.world(name);
  const self = {
    id: nodeId(name),
    storageId: `disk-of-${name}`,
    clusterId: 'c1',
    foundersText: 'n1=n1,n2=n2,n3=n3',
    ...change.self,
  };
  const messaging = createMessaging({
    world,
    self,
    secret: utf8('secret'),
    epoch: () => 5,
    ...change.options,
  });
  const node: TestNode = {
    id: self.id,
    world,
    messaging,
    handled: [],
    reachability: [],
    epochs: [],
    logged: (event) => world.lines.filter((line) => line.event === event).map((line) => line.fields),
  };
  messaging.handle(echo, (request, caller) => {
    node.handled.push(request.text);
    return change.handler?.(request, caller) ?? request;
  });
  messaging.onReachability((peer, reachable) => void node.reachability.push(`${peer} ${reachable ? 'up' : 'down'}`));
  messaging.onEpoch((peer, epoch) => void node.epochs.push(`${peer} ${epoch}`));
  return node;
}

export async function startNodes(...nodes: TestNode[]): Promise<void> {
  for (const node of nodes) {
    node.messaging.setPeers(
      nodes.filter((other) => other !== node).map((other) => ({ id: other.id, address: other.id })),
    );
  }
  await Promise.all(nodes.map((node) => node.messaging.start()));
}

/** Two started nodes that know each other. */
export async function makePair(
  hub: FakeHub,
  change1: NodeChange = {},
  change2: NodeChange = {},
): Promise<[TestNode, TestNode]> {
  const nodes: [TestNode, TestNode] = [makeNode(hub, 'n1', change1), makeNode(hub, 'n2', change2)];
  await startNodes(...nodes);
  await hub.clock.advance(20);
  return nodes;
}

/** Makes a call; the result can be looked at when the clock has moved. */
export function startCall(
  from: TestNode,
  to: TestNode,
  request: Note,
  timeout = 500,
  channel: 'foreground' | 'bulk' = 'foreground',
): { result: CallResult<Note> | undefined; at: number } {
  const call: { result: CallResult<Note> | undefined; at: number } = { result: undefined, at: 0 };
  const deadline = from.world.clock.monotonic() + timeout;
  void from.messaging.call(to.id, echo, request, { deadline, channel }).then((result) => {
    call.result = result;
    call.at = from.world.clock.monotonic();
  });
  return call;
}
