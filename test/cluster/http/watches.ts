/** Watching a bucket: server-sent events over sockets of their own, since they do not end by themselves. */

import { get as httpGet, type IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { until } from '../support.ts';
import { call, definedBucket, del, freshBucket, get, invalid, NAMES, portOf, problem, put, type Name } from './site.ts';

interface Event {
  readonly bucket: string;
  readonly key: string;
  readonly etag: string | null;
  readonly deleted: boolean;
}

class Watch {
  readonly events: Event[] = [];
  cursor: string | undefined;
  readonly message: IncomingMessage;
  readonly ended: Promise<void>;
  #text = '';

  private constructor(message: IncomingMessage) {
    this.message = message;
    message.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    message.on('error', () => undefined);
    this.ended = new Promise((resolve) => message.once('close', resolve));
  }

  static open(target: string, at: Name, headers: Readonly<Record<string, string>> = {}): Promise<Watch> {
    return new Promise((resolve, reject) => {
      const path = `/v1/watch/${target}`;
      httpGet({ port: portOf(at), path, headers }, (message) => {
        expect([message.statusCode, message.headers['content-type']]).toEqual([200, 'text/event-stream']);
        const watch = new Watch(message);
        // The first thing that comes is a cursor.
        message.once('data', () => resolve(watch));
      }).on('error', reject);
    });
  }

  async told(count: number): Promise<readonly Event[]> {
    await until(`${count} events`, () => this.events.length >= count);
    return this.events;
  }

  close(): void {
    this.message.destroy();
  }

  #read(text: string): void {
    this.#text += text;
    const blocks = this.#text.split('\n\n');
    this.#text = blocks.pop()!;
    for (const line of blocks.flatMap((block) => block.split('\n'))) {
      if (line.startsWith('id: ')) this.cursor = line.slice(4);
      if (line.startsWith('data: ')) this.events.push(JSON.parse(line.slice(6)) as Event);
    }
  }
}

export function watchTests(): void {
  describe('watches', () => {
    test('tell of writes and deletions as they come, at every node', async () => {
      const bucket = freshBucket();
      // At all owners: one that commits it later tells of it then, and one that hears of the deletion first tells of nothing older.
      await put(`/v1/kv/${bucket}/before?w=all`, 'x');
      const watches = await Promise.all(NAMES.map((at) => Watch.open(bucket, at)));
      const written = await put(`/v1/kv/${bucket}/user-1?w=all`, 'hello', { at: 'n2' });
      await del(`/v1/kv/${bucket}/user-1`, { at: 'n3' });
      const etag = written.headers['etag']!.replaceAll('"', '');
      for (const watch of watches) {
        expect(await watch.told(2)).toEqual([
          { bucket, key: 'user-1', etag, deleted: false },
          { bucket, key: 'user-1', etag: null, deleted: true },
        ]);
        watch.close();
      }
    });

    test('go on from a cursor at another node, by header or parameter, with the same prefix only', async () => {
      const bucket = freshBucket();
      const watch = await Watch.open(`${bucket}?prefix=user-`, 'n1');
      await put(`/v1/kv/${bucket}/user-1`, 'x');
      await put(`/v1/kv/${bucket}/shop-1`, 'x');
      await watch.told(1);
      watch.close();
      await put(`/v1/kv/${bucket}/user-2`, 'x');
      const cursor = watch.cursor!;
      for (const back of [
        await Watch.open(`${bucket}?prefix=user-`, 'n2', { 'last-event-id': cursor }),
        await Watch.open(`${bucket}?prefix=user-&after=${cursor}`, 'n3'),
      ]) {
        await put(`/v1/kv/${bucket}/user-3`, 'x');
        await until('the last event', () => back.events.some(({ key }) => key === 'user-3'));
        const keys = [...new Set(back.events.map(({ key }) => key))].filter((key) => key !== 'user-1');
        expect(keys).toEqual(['user-2', 'user-3']);
        back.close();
      }
      invalid(await get(`/v1/watch/${bucket}`, { headers: { 'last-event-id': cursor } }), 'Last-Event-ID');
      invalid(await get(`/v1/watch/other?prefix=user-&after=${cursor}`), 'after');
    });

    test('tell of strong keys too', async () => {
      const bucket = await definedBucket({ consistency: 'strong' });
      const watch = await Watch.open(bucket, 'n1');
      const written = await put(`/v1/kv/${bucket}/k`, 'x', { at: 'n2' });
      await del(`/v1/kv/${bucket}/k`, { at: 'n3' });
      expect((await watch.told(2)).map(({ key, etag }) => [key, etag])).toEqual([
        ['k', written.headers['etag']!.replaceAll('"', '')],
        ['k', null],
      ]);
      watch.close();
    });

    test('end after their timeout, with a word about why', async () => {
      const answer = await get(`/v1/watch/${freshBucket()}?timeout=50`);
      expect(answer.status).toBe(200);
      expect(answer.body.toString()).toMatch(
        /^: watching\nid: [\w-]+\n\nevent: end\ndata: \{"reason":"timeout"\}\n\n$/,
      );
    });

    test('end when the bucket is dropped, and its cursors are gone', async () => {
      const bucket = await definedBucket({});
      const watch = await Watch.open(bucket, 'n2');
      await put(`/v1/kv/${bucket}/k`, 'x');
      await watch.told(1);
      await del(`/v1/buckets/${bucket}`);
      await watch.ended;
      expect(watch.events.at(-1)).toEqual({ reason: 'dropped' });
      const headers = { 'last-event-id': watch.cursor! };
      problem(await get(`/v1/watch/${bucket}?timeout=50`, { headers }), 410, 'gone');
    });

    test('refuse what they do not know', async () => {
      invalid(await get('/v1/watch/b?limit=1'), 'limit');
      invalid(await get('/v1/watch/b?timeout=0'), 'timeout');
      invalid(await get(`/v1/watch/b?prefix=${'x'.repeat(1025)}`), 'prefix');
      expect((await call('HEAD', '/v1/watch/b')).status).toBe(200);
    });
  });
}
