import { getRequestListener } from '@hono/node-server';
import { createServer } from 'node:http';
import { createApp } from '#api/app.ts';
import { startServer } from '#api/server.ts';
import { SocketRequest } from '#api/server-request.ts';
import { Reception } from '#api/reception.ts';
import { ROUTES } from '#api/routes.ts';
import { benchServices } from './api-services.ts';
import { fork } from 'node:child_process';
const services = benchServices(new Uint8Array(1024));
const value = Buffer.alloc(1024);
const H = { 'content-type': 'application/octet-stream' };
const variants: Record<string, any> = {
  bare: (q: any, s: any) => { if (q.method==='GET') { s.writeHead(200, {...H,'content-length':1024}); s.end(value);} else { q.on('data',()=>{}); q.on('end',()=>{ s.writeHead(204,{etag:'"0"'}); s.end(); }); } },
  bareManyHeaders: (q: any, s: any) => { const h={ 'quoral-replicas':'acked=2; needed=2; of=3; fallbacks=0','quoral-coordinator':'n2','quoral-context':'AQEAgICAsPepDYCggLD3qQ1aHXH26Lrdtg','cache-control':'no-store','last-modified':'Sun, 15 Jun 2025 15:06:40 GMT','x-request-id':'n1-5b891878-2','server-timing':'total;dur=2.34',etag:'"3bc6c08c4adc40bd"'}; if (q.method==='GET') { s.writeHead(200, {...H,...h,'content-length':1024}); s.end(value);} else { q.on('data',()=>{}); q.on('end',()=>{ s.writeHead(204,h); s.end(); }); } },
  listenerSync: getRequestListener((r: any, env: any) => { const q = env.incoming; if (q.method==='GET') return new Response(value, {status:200, headers: H}); return new Promise<Response>((ok)=>{ q.on('data',()=>{}); q.on('end',()=>ok(new Response(null,{status:204,headers:{etag:'"0"'}}))); }); }),
  listenerAsync: getRequestListener(async (r: any, env: any) => { const q = env.incoming; if (q.method==='GET') return new Response(value, {status:200, headers: H}); await new Promise<void>((ok)=>{ q.on('data',()=>{}); q.on('end',()=>ok()); }); return new Response(null,{status:204,headers:{etag:'"0"'}}); }),
};
const reception = new Reception(services);
variants.direct = async (q: any, s: any) => { const r = new SocketRequest(q, s, services.clock, false); const a = await reception.respond(r, ROUTES[0]); if (a.body !== null) (a.headers as any)['content-length'] = a.body.length; s.writeHead(a.status, a.headers); s.end(a.body ?? undefined); };
const app = createApp(services);
{ let cur: any; const l = getRequestListener((r) => app.fetch(r, { incoming: cur })); variants.app = (q: any, s: any) => { cur = new SocketRequest(q, s, services.clock, false); q.url='/'; return l(q, s); }; }

import { Hono } from 'hono';
{ const h = new Hono<any>({ getPath: (_r: any, o: any) => o.env.incoming.target.path }); const D = new Response(null); const req = new Request('http://x/');
for (const route of ROUTES) h.all(route.path, async (c: any) => { c.env.answer = await reception.respond(c.env.incoming, route); return D; });
variants.slim = async (q: any, s: any) => { const env: any = { incoming: new SocketRequest(q, s, services.clock, false), answer: undefined }; await h.fetch(req, env); const a = env.answer; if (a.body !== null) a.headers['content-length'] = a.body.length; s.writeHead(a.status, a.headers); s.end(a.body ?? undefined); };
}
const only = process.argv[2]?.split(',');
const names = [...Object.keys(variants), 'door'].filter(n => !only || only.includes(n));
const ports: any = {};
for (const n of names) { if (n==='door') { ports[n]=(await startServer(app, services, {host:'127.0.0.1',port:0})).port; continue; } const s = createServer(variants[n]); await new Promise<void>(r=>s.listen(0,'127.0.0.1',()=>r())); ports[n]=(s.address() as any).port; }
const res: any = {};
for (let round=0; round<5; round++) for (const n of names) for (const m of ['PUT','GET']) {
  const N=15000; const load = fork(new URL('./api.bench.ts', import.meta.url).pathname, ['load', String(ports[n]), m, String(N)]);
  await new Promise(r=>load.once('message',r)); const b=process.cpuUsage(); load.send('go'); await new Promise(r=>load.once('exit',r)); const u=process.cpuUsage(b);
  (res[n+' '+m]??=[]).push([(u.user)/N,(u.system)/N]);
}
for (const k in res) { const s = res[k].sort((a:any,b:any)=>a[0]+a[1]-b[0]-b[1]); console.log(k.padEnd(22), 'user', s[2][0].toFixed(1), 'sys', s[2][1].toFixed(1), 'total', (s[2][0]+s[2][1]).toFixed(1)); }
process.exit(0);
