import { expect, test } from 'vitest';
import { storeResult, StoresTogether } from '#coordinator/stores-together.ts';
import { utf8 } from '#kernel/bytes.ts';
import { epoch, nodeId } from '#kernel/identity.ts';
import { FetchMessage, StoreMessage, STORES_MAX, StoresMessage, type StoreRequest } from '#replica/messages.ts';
import { Refusal } from '#wire/message.ts';
import type { CallResult } from '#wire/messaging.ts';

const SCOPE = { epoch: epoch(7), n: 3, partition: 200, bucket: 'b', incarnation: 0, definition: epoch(0) };
const [N2, N3] = [nodeId('n2'), nodeId('n3')];
const TAKEN = { kind: 'reply', reply: { durable: true } } as const;

interface Sent {
  readonly to: string;
  readonly name: string;
  readonly deadline: number;
  /** Request ids of the stores in it. */
  readonly stores: readonly string[];
}

class Stage {
  readonly sent: Sent[] = [];
  readonly deferred: (() => void)[] = [];
  /** What a peer answers to several stores. */
  answer: (stores: readonly StoreRequest[]) => CallResult<unknown> = (stores) => ({
    kind: 'reply',
    reply: stores.map(() => TAKEN),
  });
  readonly together: StoresTogether;

  constructor() {
    const call = (to: string, type: { name: string }, request: unknown, { deadline }: { deadline: number }) => {
      const several = type.name === StoresMessage.name;
      const stores = (several ? request : [request]) as readonly StoreRequest[];
      this.sent.push({ to, name: type.name, deadline, stores: stores.map(({ requestId }) => requestId) });
      return Promise.resolve(several ? this.answer(stores) : TAKEN);
    };
    const messaging = { call, handle: () => undefined, reachable: () => true } as never;
    const clock = { defer: (callback: () => void) => this.deferred.push(callback) } as never;
    this.together = new StoresTogether(messaging, clock);
  }

  store(to: string, id: string, more: Partial<StoreRequest> = {}, deadline = 1000): Promise<CallResult<unknown>> {
    const request = { scope: SCOPE, requestId: id, key: utf8(id), state: utf8('s'), durable: true, origin: 1, ...more };
    return this.together.call(nodeId(to), StoreMessage, request, { deadline });
  }

  get stores(): readonly (readonly [to: string, name: string, ...ids: string[]])[] {
    return this.sent.map(({ to, name, stores }) => [to, name, ...stores]);
  }
}

test('stores of one turn leave in one message to each peer, at the flush before the commit', async () => {
  const stage = new Stage();
  const results = ['a', 'b'].flatMap((id) => [stage.store(N2, id), stage.store(N3, id, {}, id === 'a' ? 1900 : 1500)]);
  expect(stage.sent).toEqual([]);
  stage.together.flush();
  expect(stage.stores).toEqual([
    [N2, 'replica.stores', 'a', 'b'],
    [N3, 'replica.stores', 'a', 'b'],
  ]);
  expect(stage.sent.map(({ deadline }) => deadline)).toEqual([1000, 1900]);
  expect(await Promise.all(results)).toEqual([TAKEN, TAKEN, TAKEN, TAKEN]);
});

test('without a commit they leave at the end of the turn; a single one as it always did', async () => {
  const stage = new Stage();
  const result = stage.store(N2, 'a');
  expect(stage.deferred).toHaveLength(1);
  stage.deferred[0]!();
  expect(stage.stores).toEqual([[N2, 'replica.store', 'a']]);
  expect(await result).toEqual(TAKEN);
  stage.together.flush();
  expect(stage.sent).toHaveLength(1);
});

test('what answers at another time, or is traced, goes alone and at once', () => {
  const stage = new Stage();
  void stage.store(N2, 'a', { durable: false });
  const trace = {} as never;
  const request = { scope: SCOPE, requestId: 'b', key: utf8('k'), state: utf8('s'), durable: true, origin: 1 };
  void stage.together.call(N2, StoreMessage, request, { deadline: 1, trace });
  void stage.together.call(N2, FetchMessage, request, { deadline: 1 });
  expect(stage.stores.map(([, name]) => name)).toEqual(['replica.store', 'replica.store', 'replica.fetch']);
});

test('a message has so many stores and so many bytes, and no more', () => {
  const stage = new Stage();
  for (let i = 0; i <= STORES_MAX; i++) void stage.store(N2, `${i}`);
  for (let i = 0; i < 3; i++) void stage.store(N3, `${i}`, { state: new Uint8Array(20_000) });
  stage.together.flush();
  expect(stage.sent.map(({ to, stores }) => [to, stores.length])).toEqual([
    [N2, STORES_MAX],
    [N2, 1],
    [N3, 2],
    [N3, 1],
  ]);
});

test('who has much more time than the others does not make them wait for it', () => {
  const stage = new Stage();
  for (const [id, deadline] of [
    ['a', 5000],
    ['b', 5500],
    ['c', 60_000],
    ['d', 59_500],
  ] as const)
    void stage.store(N2, id, {}, deadline);
  stage.together.flush();
  expect(stage.sent.map(({ stores, deadline }) => [...stores, deadline])).toEqual([
    ['a', 'b', 5500],
    ['c', 'd', 60_000],
  ]);
});

test('each has its own answer', async () => {
  const stage = new Stage();
  const stale = { kind: 'refused', code: 'stale-epoch', detail: 'owners changed', value: 8 } as const;
  stage.answer = () => ({ kind: 'reply', reply: [TAKEN, stale] });
  const results = ['a', 'b', 'c'].map((id) => stage.store(N2, id));
  stage.together.flush();
  // One that is left out may have been taken all the same.
  expect(await Promise.all(results)).toEqual([TAKEN, stale, { kind: 'lost', reason: 'disconnected' }]);
});

test('what becomes of the message becomes of each; a peer of an older program gets them one by one', async () => {
  const stage = new Stage();
  stage.answer = () => ({ kind: 'lost', reason: 'timeout' });
  const lost = ['a', 'b'].map((id) => stage.store(N2, id));
  stage.together.flush();
  expect(await Promise.all(lost)).toEqual([
    { kind: 'lost', reason: 'timeout' },
    { kind: 'lost', reason: 'timeout' },
  ]);
  stage.answer = () => ({ kind: 'refused', code: 'unknown-message', detail: '', value: 0 });
  stage.sent.length = 0;
  const older = ['a', 'b'].map((id) => stage.store(N2, id));
  stage.together.flush();
  expect(await Promise.all(older)).toEqual([TAKEN, TAKEN]);
  expect(stage.stores).toEqual([
    [N2, 'replica.stores', 'a', 'b'],
    [N2, 'replica.store', 'a'],
    [N2, 'replica.store', 'b'],
  ]);
});

test('a fault of the program in one store is told to its sender as such, and logged', () => {
  const errors: string[] = [];
  const log = { error: (event: string) => errors.push(event) } as never;
  const request = { requestId: 'r', durable: true } as StoreRequest;
  expect(storeResult(undefined, request, log)).toEqual(TAKEN);
  expect(storeResult(new Refusal('stale-epoch', 'd', 8), request, log)).toMatchObject({ code: 'stale-epoch' });
  expect(storeResult(new Error('oops'), request, log)).toMatchObject({ kind: 'refused', code: 'internal' });
  expect(errors).toEqual(['handler-failed']);
});
