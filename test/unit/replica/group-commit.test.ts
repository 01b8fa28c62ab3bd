import { beforeEach, expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import { GROUP_BYTES_MAX, GroupCommit, QueueFull, type GroupCommitOptions } from '#replica/group-commit.ts';
import { RECORDS } from '#replica/tables.ts';
import { DiskError } from '#world/world.ts';
import { OneMachine, type OneProcess } from './worlds.ts';

const KEY = utf8('key');

let machine: OneMachine;
let process: OneProcess;
let events: string[];

beforeEach(() => {
  machine = new OneMachine();
  process = machine.boot();
  events = [];
});

function groupCommit(options: Partial<GroupCommitOptions> = {}): GroupCommit {
  return new GroupCommit({
    ...process,
    prologue: () => events.push('prologue'),
    epilogue: () => undefined,
    beforeCommit: () => events.push('before commit'),
    takeBack: () => events.push('take back'),
    onFailure: (error) => events.push(`failure ${(error as Error).name}`),
    groupSizeMax: 8,
    queueMax: 16,
    queueBytesMax: 1000,
    ...options,
  });
}

function put(commits: GroupCommit, value: string, durable = true): Promise<string> {
  return commits.submit({
    run: (transaction) => {
      events.push(`run ${value}`);
      transaction.put(RECORDS, KEY, utf8(value));
      return value;
    },
    beforeCommit: (result) => events.push(`send ${result}`),
    bytes: value.length,
    durable,
  });
}

test('operations of one turn share a commit: all run, then all send, then the network is flushed', async () => {
  const commits = groupCommit();
  const both = Promise.all([put(commits, 'a'), put(commits, 'b')]);
  expect(await machine.simulation.settle(both)).toEqual(['a', 'b']);
  expect(events).toEqual(['prologue', 'run a', 'run b', 'send a', 'send b', 'before commit']);
});

test('an operation sees those before it in its group', async () => {
  const commits = groupCommit();
  void put(commits, 'first');
  const seen = commits.submit({ run: (transaction) => transaction.get(RECORDS, KEY), bytes: 0, durable: true });
  expect(await machine.simulation.settle(seen)).toEqual(utf8('first'));
});

test('a bad operation fails alone, sends nothing and leaves nothing', async () => {
  const commits = groupCommit();
  const good = put(commits, 'good');
  const bad = commits.submit({
    run: (transaction) => {
      transaction.put(RECORDS, KEY, utf8('bad'));
      throw new Error('no');
    },
    beforeCommit: () => events.push('send bad'),
    bytes: 0,
    durable: true,
  });
  await expect(machine.simulation.settle(bad)).rejects.toThrow('no');
  expect(await machine.simulation.settle(good)).toBe('good');
  expect(process.disk.get(RECORDS, KEY)).toEqual(utf8('good'));
  expect(events).not.toContain('send bad');
});

test('a durable operation is answered after the sync, another one before it; both are read at once', async () => {
  const commits = groupCommit();
  machine.medium.extraSyncMilliseconds = 50;
  const answered: string[] = [];
  void put(commits, 'synced').then(() => answered.push('synced'));
  void put(commits, 'written', false).then(() => answered.push('written'));
  await machine.simulation.run(20);
  expect(answered).toEqual(['written']);
  expect(process.disk.get(RECORDS, KEY)).toEqual(utf8('written'));
  await machine.simulation.run(100);
  expect(answered).toEqual(['written', 'synced']);
});

test('what was answered as durable survives a crash at any moment; what was not may not', async () => {
  for (let until = 0; until < 30; until++) {
    machine = new OneMachine();
    process = machine.boot();
    const commits = groupCommit();
    let acknowledged = 0;
    const writer = async (): Promise<void> => {
      for (let i = 1; ; i++) {
        await put(commits, String(i));
        acknowledged = i;
      }
    };
    void writer();
    await machine.simulation.run(until / 3);
    machine.host.kill();
    const after = machine.boot().disk.get(RECORDS, KEY);
    expect(Number(after === undefined ? 0 : new TextDecoder().decode(after))).toBeGreaterThanOrEqual(acknowledged);
  }
});

test('a reader of a row that is being synced waits for the end of the sync, of another row it does not', async () => {
  const commits = groupCommit();
  machine.medium.extraSyncMilliseconds = 50;
  void put(commits, 'value', false);
  await machine.simulation.run(10);
  expect(commits.synced(RECORDS, utf8('other'))).toBeUndefined();
  const synced = commits.synced(RECORDS, KEY);
  expect(synced).toBeDefined();
  await machine.simulation.settle(synced!);
  expect(machine.simulation.now).toBeGreaterThanOrEqual(50);
  await machine.simulation.run(machine.simulation.now + 1);
  expect(commits.synced(RECORDS, KEY)).toBeUndefined();
});

test('after a sync that has failed no reader is told what it may have lost, however late he comes', async () => {
  const commits = groupCommit();
  machine.medium.failNextSync();
  await expect(machine.simulation.settle(put(commits, 'lost?'))).rejects.toThrow(DiskError);
  expect(process.disk.get(RECORDS, KEY)).toEqual(utf8('lost?'));
  await expect(commits.synced(RECORDS, KEY)).rejects.toThrow(DiskError);
  await expect(commits.syncing()).rejects.toThrow(DiskError);
});

test('groups are bounded, and so is the queue: what does not fit is refused at once', async () => {
  const commits = groupCommit({ groupSizeMax: 3, queueMax: 7 });
  const all = Array.from({ length: 9 }, async (_, index) => put(commits, String(index)));
  await expect(all[7]).rejects.toThrow(QueueFull);
  await expect(all[8]).rejects.toThrow(QueueFull);
  await machine.simulation.settle(Promise.all(all.slice(0, 7)));
  expect(events.filter((event) => event === 'prologue')).toHaveLength(3);
});

test('the bytes that wait are bounded too, and free again when their group begins', async () => {
  const commits = groupCommit({ queueBytesMax: 10 });
  const first = Promise.all([put(commits, '12345'), put(commits, '67890')]);
  await expect(put(commits, 'x')).rejects.toThrow(QueueFull);
  await machine.simulation.settle(first);
  expect(await machine.simulation.settle(put(commits, 'y'))).toBe('y');
});

/** Runs in the order in which they are submitted; each writes a value of so many bytes and says that it holds so many. */
function putLarge(commits: GroupCommit, name: string, written: number, held = written): Promise<string> {
  return commits.submit({
    run: (transaction) => {
      events.push(`run ${name}`);
      transaction.put(RECORDS, utf8(name), new Uint8Array(written));
      return name;
    },
    bytes: held,
    durable: true,
  });
}

test('a group takes some bytes of large operations, one at least, and all that are small', async () => {
  const commits = groupCommit({ queueBytesMax: 1 << 30 });
  const sizes = { a: 1, b: 1.5, c: 5, d: 0.5 };
  const large = Object.entries(sizes).map(([name, part]) => putLarge(commits, name, part * GROUP_BYTES_MAX));
  const small = ['e', 'f'].map((name) => putLarge(commits, name, 10));
  const answers = await machine.simulation.settle(Promise.all([...large, ...small]));
  expect(answers).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  expect(events.filter((event) => !event.startsWith('before')).map((event) => event.replace('run ', ''))).toEqual([
    ...['prologue', 'e', 'f', 'a', 'prologue', 'b', 'prologue', 'c', 'prologue', 'd'],
  ]);
});

test('small operations on large rows share a group up to its bytes; the others come first in the next, and large ones go on', async () => {
  const commits = groupCommit({ queueBytesMax: 1 << 30 });
  const part = GROUP_BYTES_MAX / 2;
  const small = ['a', 'b', 'c'].map((name) => putLarge(commits, name, part, 10));
  const large = ['x', 'y'].map((name) => putLarge(commits, name, part));
  await machine.simulation.settle(Promise.all([...small, ...large]));
  expect(events.filter((event) => !event.startsWith('before')).map((event) => event.replace('run ', ''))).toEqual([
    ...['prologue', 'a', 'b', 'x', 'prologue', 'c', 'y'],
  ]);
  expect(process.metrics.value('quoral_commit_queue_bytes')).toBe(0);
  expect(process.metrics.value('quoral_commit_queue_operations')).toBe(0);
});

test('a disk that takes nothing fails all that wait, large ones too', async () => {
  const commits = groupCommit({ queueBytesMax: 1 << 30 });
  machine.medium.failNextSync();
  await expect(machine.simulation.settle(put(commits, 'lost?'))).rejects.toThrow(DiskError);
  const all = ['a', 'b', 'c'].map((name) => putLarge(commits, name, GROUP_BYTES_MAX));
  const ends = await machine.simulation.settle(Promise.allSettled([...all, put(commits, 'never')]));
  expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'rejected']);
});

test('a full disk fails the group and heals; a failed sync is final', async () => {
  const commits = groupCommit();
  machine.medium.capacityBytes = 8;
  await expect(machine.simulation.settle(put(commits, 'far too long for this disk'))).rejects.toMatchObject({
    kind: 'full',
    uncertain: false,
  });
  expect(events).toContain('failure DiskError');
  machine.medium.capacityBytes = 1000;
  expect(await machine.simulation.settle(put(commits, 'fits'))).toBe('fits');
  machine.medium.failNextSync();
  await expect(machine.simulation.settle(put(commits, 'lost?'))).rejects.toMatchObject({
    kind: 'failed',
    uncertain: true,
  });
  await expect(machine.simulation.settle(put(commits, 'never'))).rejects.toThrow(DiskError);
});

test('what a full disk refuses before it has begun takes nothing back of the group before it', async () => {
  const commits = groupCommit();
  await machine.simulation.settle(put(commits, 'there'));
  machine.medium.capacityBytes = 1;
  await expect(machine.simulation.settle(put(commits, 'begun and far longer'))).rejects.toMatchObject({ kind: 'full' });
  expect(events.splice(0)).toContain('take back');
  await expect(machine.simulation.settle(put(commits, 'not begun'))).rejects.toMatchObject({ kind: 'full' });
  expect(events).toEqual(['failure DiskError']);
});

test('drain waits for everything that was submitted', async () => {
  const commits = groupCommit({ groupSizeMax: 2 });
  const done: string[] = [];
  for (const value of ['a', 'b', 'c', 'd', 'e']) void put(commits, value).then((result) => done.push(result));
  await machine.simulation.settle(commits.drain());
  expect(done).toEqual(['a', 'b', 'c', 'd', 'e']);
});
