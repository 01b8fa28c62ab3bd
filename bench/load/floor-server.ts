/** The least that an HTTP front door of hono does for a PUT, whose body it reads, and for a GET. Tells its port. */

import { totalmem } from 'node:os';
import { serve, type HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { tuneRuntime } from '#cli/runtime-settings.ts';
import { wholeBody } from './whole-body.ts';

// As a node does.
tuneRuntime(totalmem());
const value = Buffer.alloc(1024, 'v');
const app = new Hono<{ Bindings: HttpBindings }>();

app.put('/v1/kv/:bucket/:key', async (c) => {
  const body = await wholeBody(c.env.incoming);
  return new Response(null, { status: 204, headers: { etag: `"${body.length}"` } });
});
app.get('/v1/kv/:bucket/:key', () => {
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(value.length) };
  return new Response(value, { headers });
});

serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => process.send!(port));
process.on('disconnect', () => process.exit());
