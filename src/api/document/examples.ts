/**
 * Answers as nodes have given them in the contract test, which writes this file (`npm run docs`) and sees that they still look
 * like this. As JSON text.
 */

export const EXAMPLES: Readonly<Record<string, string>> = {
  'defineBucket 200 application/json':
    '{"n":3,"r":"quorum","w":"quorum","pr":0,"pw":0,"dw":"quorum","sloppy":true,"conflicts":"siblings","consistency":"eventual","type":"value","ttl":null}',
  'showBucket 200 application/json':
    '{"n":3,"r":"quorum","w":"quorum","pr":0,"pw":0,"dw":"quorum","sloppy":true,"conflicts":"siblings","consistency":"eventual","type":"value","ttl":null}',
  'listBuckets 200 application/json':
    '{"buckets":[{"name":"carts","properties":{"n":3,"r":"quorum","w":"quorum","pr":0,"pw":0,"dw":"quorum","sloppy":true,"conflicts":"siblings","consistency":"eventual","type":"value","ttl":null}},{"name":"stock","properties":{"n":3,"r":"quorum","w":"quorum","pr":0,"pw":0,"dw":"quorum","sloppy":true,"conflicts":"lww","consistency":"strong","type":"value","ttl":null}}]}',
  'getValue 200 */*': '"2 apples"',
  'operateValue 200 */*': '"3 apples"',
  'getValue 300 multipart/mixed':
    '"--quoral-abb2d0edd17e1915ac5fba0a242a50ef\\r\\nContent-Type: text/plain\\r\\nETag: \\"2cfb7dc633cebd42\\"\\r\\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\\r\\nquoral-expires: 2026-01-01T02:00:00.218Z\\r\\nContent-Encoding: identity\\r\\nquoral-meta-shop: north\\r\\n\\r\\n3 apples\\r\\n--quoral-abb2d0edd17e1915ac5fba0a242a50ef\\r\\nContent-Type: application/octet-stream\\r\\nETag: \\"4ba91c597ea21c38\\"\\r\\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\\r\\n\\r\\n1 pear\\r\\n--quoral-abb2d0edd17e1915ac5fba0a242a50ef\\r\\nContent-Type: application/octet-stream\\r\\nETag: \\"6a38499633afebd1\\"\\r\\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\\r\\n\\r\\n1 plum\\r\\n--quoral-abb2d0edd17e1915ac5fba0a242a50ef\\r\\nContent-Type: application/octet-stream\\r\\nETag: \\"6617747248cc6631\\"\\r\\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\\r\\n\\r\\n1 fig\\r\\n--quoral-abb2d0edd17e1915ac5fba0a242a50ef--\\r\\n"',
  'getValue 300 application/json':
    '{"context":"AQEAgoCAlrGvHYGAuJaxrx1uCZlZToDKCA","siblings":[{"etag":"2cfb7dc633cebd42","contentType":"text/plain","contentEncoding":"identity","lastModified":"2026-01-01T00:00:00.216Z","expires":"2026-01-01T02:00:00.218Z","meta":{"shop":"north"},"value":"MyBhcHBsZXM="},{"etag":"4ba91c597ea21c38","contentType":"application/octet-stream","lastModified":"2026-01-01T00:00:00.220Z","meta":{},"value":"MSBwZWFy"},{"etag":"6a38499633afebd1","contentType":"application/octet-stream","lastModified":"2026-01-01T00:00:00.221Z","meta":{},"value":"MSBwbHVt"},{"etag":"6617747248cc6631","contentType":"application/octet-stream","lastModified":"2026-01-01T00:00:00.224Z","meta":{},"value":"MSBmaWc="}]}',
  'operateValue 300 multipart/mixed':
    '"--quoral-54a6b19fd2ff2a4283f31f43cfebe4e9\\r\\nContent-Type: text/plain\\r\\nETag: \\"2cfb7dc633cebd42\\"\\r\\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\\r\\nquoral-expires: 2026-01-01T02:00:00.228Z\\r\\nContent-Encoding: identity\\r\\nquoral-meta-shop: north\\r\\n\\r\\n3 apples\\r\\n--quoral-54a6b19fd2ff2a4283f31f43cfebe4e9\\r\\nContent-Type: application/octet-stream\\r\\nETag: \\"4ba91c597ea21c38\\"\\r\\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\\r\\n\\r\\n1 pear\\r\\n--quoral-54a6b19fd2ff2a4283f31f43cfebe4e9\\r\\nContent-Type: application/octet-stream\\r\\nETag: \\"6a38499633afebd1\\"\\r\\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\\r\\n\\r\\n1 plum\\r\\n--quoral-54a6b19fd2ff2a4283f31f43cfebe4e9\\r\\nContent-Type: application/octet-stream\\r\\nETag: \\"6617747248cc6631\\"\\r\\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\\r\\n\\r\\n1 fig\\r\\n--quoral-54a6b19fd2ff2a4283f31f43cfebe4e9--\\r\\n"',
  'operateValue 300 application/json':
    '{"context":"AQEAgoCAlrGvHYLAuZaxrx1q8bBMw5DoHw","siblings":[{"etag":"2cfb7dc633cebd42","contentType":"text/plain","contentEncoding":"identity","lastModified":"2026-01-01T00:00:00.216Z","expires":"2026-01-01T02:00:00.230Z","meta":{"shop":"north"},"value":"MyBhcHBsZXM="},{"etag":"4ba91c597ea21c38","contentType":"application/octet-stream","lastModified":"2026-01-01T00:00:00.220Z","meta":{},"value":"MSBwZWFy"},{"etag":"6a38499633afebd1","contentType":"application/octet-stream","lastModified":"2026-01-01T00:00:00.221Z","meta":{},"value":"MSBwbHVt"},{"etag":"6617747248cc6631","contentType":"application/octet-stream","lastModified":"2026-01-01T00:00:00.224Z","meta":{},"value":"MSBmaWc="}]}',
  'listKeys 200 application/json': '{"keys":["user-17","user-18"],"next":"AXVzZXItMThiZVlqBTiKig"}',
  'listKeys 200 application/x-ndjson':
    '"{\\"key\\":\\"user-17\\"}\\n{\\"key\\":\\"user-18\\"}\\n{\\"key\\":\\"user-19\\"}\\n{\\"next\\":null}\\n"',
  'batch 200 application/json':
    '{"results":[{"status":204,"etag":"\\"e0a1a3364ab7fbc4\\"","context":"AQEAgoCAlrGvHYLA3Jaxrx2g_B7BIqli2w","replicas":"acked=2; needed=2; of=3; fallbacks=0","coordinator":"n1"},{"status":404,"replicas":"acked=2; needed=2; of=3; fallbacks=0","coordinator":"n1","problem":{"type":"urn:quoral:problem:not-found","title":"There is nothing here","status":404,"detail":"there is no value under this key"}}]}',
  'batch 200 application/msgpack':
    '"�\\u0000\\u0001�results��\\u0000\\u0004�status�̤etag�\\"78ce6113a22b419a\\"�replicas�$acked=2; needed=2; of=3; fallbacks=0�coordinator�n1�\\u0000\\u0004�status�\\u0001��replicas�$acked=2; needed=2; of=3; fallbacks=0�coordinator�n1�problem�\\u0000\\u0004�type�urn:quoral:problem:not-found�title�There is nothing here�status�\\u0001��detail� there is no value under this key"',
  'watchBucket 200 text/event-stream':
    '": watching\\nid: AQEA9tLqtrczAwAShu74qT4ZhCPAbXSlxTXDKgEJwk2vuZ3XoWCj9ef7aNv4KgLc3wPAZn6IsrawWOdRE3qjKS_fPQJP1Z_Y\\n\\nevent: end\\ndata: {\\"reason\\":\\"timeout\\"}\\n\\n"',
  'acquireLease 200 application/json':
    '{"token":1767225600425,"expiresAt":"2026-01-01T00:00:30.426Z","holder":"worker-7"}',
  'showLease 200 application/json':
    '{"token":1767225600425,"expiresAt":"2026-01-01T00:00:30.426Z","holder":"worker-7"}',
  'createToken 201 application/json':
    '{"name":"shop","scopes":["read:carts","write:carts"],"createdAt":"2026-01-01T00:00:00.436Z","expiresAt":null,"token":"quoral_shop_kHiq8MxH4KmOhLJJ93u_ZU50ORbo76SeNG7czi0Tk7E"}',
  'listTokens 200 application/json':
    '{"tokens":[{"name":"shop","scopes":["read:carts","write:carts"],"createdAt":"2026-01-01T00:00:00.436Z","expiresAt":null}]}',
  'showCluster 200 application/json':
    '{"clusterId":"986c2ba6df62cb6b836d26a7da1b8066","epoch":7,"self":"n1","members":[{"id":"n1","url":"http://n1","peer":"n1:7201","zone":"default","weight":1,"state":"active","reachable":true,"share":0.3333333333333333,"partitions":16,"hintsWaiting":0},{"id":"n2","url":"http://n2","peer":"n2:7201","zone":"default","weight":1,"state":"active","reachable":true,"share":0.3333333333333333,"partitions":16,"hintsWaiting":0},{"id":"n3","url":"http://n3","peer":"n3:7201","zone":"default","weight":1,"state":"active","reachable":true,"share":0.3333333333333333,"partitions":16,"hintsWaiting":0}],"transfers":[],"hintsWaiting":0}',
  'showRing 200 application/json':
    '{"epoch":7,"partitions":16,"hashSeed":"3e2a2fb7424ae65fdfa78a41db179192","members":[{"id":"n1","url":"http://n1","zone":"default"},{"id":"n2","url":"http://n2","zone":"default"},{"id":"n3","url":"http://n3","zone":"default"}],"placements":{"3":[["n1","n2","n3"],["n2","n1","n3"],["n3","n2","n1"],["n1","n3","n2"],["n2","n3","n1"],["n1","n2","n3"],["n3","n2","n1"],["n1","n3","n2"],["n3","n1","n2"],["n2","n1","n3"],["n2","n3","n1"],["n3","n2","n1"],["n1","n2","n3"],["n3","n1","n2"],["n1","n3","n2"],["n2","n1","n3"]]}}',
  'locateKey 200 application/json':
    '{"hash":"f752616514e36c5a","partition":15,"primaries":["n2","n1","n3"],"fallbacks":[]}',
  'explainKey 200 application/json':
    '{"bucket":"carts","partition":10,"replicas":[{"node":"n2","role":"primary","reachable":true,"versions":[{"dot":"n1/129171456000002/129171456983041","time":"2026-01-01T00:00:00.240Z","bytes":16,"deleted":false}],"vector":["n1/129171456000002/129171456995329"],"digest":"f9b993895a70225faca7ec8722b73afc"},{"node":"n3","role":"primary","reachable":true,"versions":[{"dot":"n1/129171456000002/129171456983041","time":"2026-01-01T00:00:00.240Z","bytes":16,"deleted":false}],"vector":["n1/129171456000002/129171456995329"],"digest":"f9b993895a70225faca7ec8722b73afc"},{"node":"n1","role":"primary","reachable":true,"versions":[{"dot":"n1/129171456000002/129171456983041","time":"2026-01-01T00:00:00.240Z","bytes":16,"deleted":false}],"vector":["n1/129171456000002/129171456995329"],"digest":"f9b993895a70225faca7ec8722b73afc"}],"hints":[],"agree":true,"differences":[]}',
  'beginRepair 202 application/json':
    '{"id":1,"state":"running","bucket":"carts","done":0,"steps":6,"compared":0,"keys":0,"underWay":0,"refused":0,"nodes":[{"node":"n1","rows":0,"damaged":0,"received":0},{"node":"n2","rows":0,"damaged":0,"received":0},{"node":"n3","rows":0,"damaged":0,"received":0}],"differed":[],"reclaimed":0,"blocked":[],"failures":[]}',
  'showRepair 200 application/json':
    '{"id":1,"state":"running","bucket":"carts","done":1,"steps":6,"compared":0,"keys":0,"underWay":0,"refused":0,"nodes":[{"node":"n1","rows":9,"damaged":0,"received":0},{"node":"n2","rows":0,"damaged":0,"received":0},{"node":"n3","rows":0,"damaged":0,"received":0}],"differed":[],"reclaimed":0,"blocked":[],"failures":[]}',
  'planRing 200 application/json':
    '{"id":"5b36a5514a39f52c","epoch":7,"moves":[],"dropped":[],"summary":{"moves":0,"leastMoves":0,"dropped":0,"keys":0,"bytes":0,"reordered":2,"seconds":0,"members":[{"id":"n1","zone":"default","weight":2,"change":"stays","before":16,"after":16,"gets":0,"gives":0,"keys":0,"bytes":0},{"id":"n2","zone":"default","weight":1,"change":"stays","before":16,"after":16,"gets":0,"gives":0,"keys":0,"bytes":0},{"id":"n3","zone":"default","weight":1,"change":"stays","before":16,"after":16,"gets":0,"gives":0,"keys":0,"bytes":0}],"voters":{"before":["n1","n2","n3"],"after":["n1","n2","n3"]},"tables":[{"n":3,"owners":{"before":3,"after":3},"balance":{"before":{"fullest":1,"emptiest":1},"after":{"fullest":1.3333333333333333,"emptiest":0.6666666666666666}},"zones":{"before":{"fewest":1,"possible":1},"after":{"fewest":1,"possible":1}}}],"risks":[{"code":"uneven-zones","detail":"for n=3 one member owns 1.33 times its fair share, and one 0.67 times: replicas are spread over zones first, and then by weight"}]}}',
  'applyPlan 202 application/json':
    '{"state":"running","id":"5b36a5514a39f52c","epoch":8,"moves":0,"done":0,"keys":0,"bytes":0,"throttle":8388608,"bytesPerSecond":null,"secondsLeft":null,"last":null,"transfers":[]}',
  'showTransfers 200 application/json':
    '{"state":"running","id":"5b36a5514a39f52c","epoch":8,"moves":0,"done":0,"keys":0,"bytes":0,"throttle":8388608,"bytesPerSecond":null,"secondsLeft":null,"last":null,"transfers":[]}',
  'pauseChange 202 application/json':
    '{"state":"paused","id":"5b36a5514a39f52c","epoch":9,"moves":0,"done":0,"keys":0,"bytes":0,"throttle":8388608,"bytesPerSecond":null,"secondsLeft":null,"last":null,"transfers":[]}',
  'resumeChange 202 application/json':
    '{"state":"running","id":"5b36a5514a39f52c","epoch":10,"moves":0,"done":0,"keys":0,"bytes":0,"throttle":8388608,"bytesPerSecond":null,"secondsLeft":null,"last":null,"transfers":[]}',
  'abortChange 202 application/json':
    '{"state":"aborting","id":"5b36a5514a39f52c","epoch":11,"moves":0,"done":0,"keys":0,"bytes":0,"throttle":8388608,"bytesPerSecond":null,"secondsLeft":null,"last":null,"transfers":[]}',
  'showLive 200 application/json':
    '{"status":"ok","node":"n1","checks":[{"name":"process","ok":true,"detail":"answers"},{"name":"disk","ok":true,"detail":"works"},{"name":"tenures","ok":true,"detail":"left in this boot"}]}',
  'showReady 200 application/json':
    '{"status":"ok","node":"n1","checks":[{"name":"disk","ok":true,"detail":"writable"},{"name":"epoch","ok":true,"detail":"epoch 11 is confirmed by a majority"},{"name":"member","ok":true,"detail":"active"},{"name":"serving","ok":true,"detail":"data requests are served"},{"name":"peers","ok":true,"detail":"2 of 2 can be reached"}]}',
  'showHealthy 200 application/json':
    '{"status":"ok","node":"n1","ringWithQuorum":1,"checks":[{"name":"quorum","ok":true,"detail":"100.0 % of the ring has a quorum of owners that can be reached and vouch for it"}]}',
  'operateValue 200 application/json': '{"type":"counter","value":10,"context":"AQEAgoCAlrGvHYGA_Jaxrx1jUJvn0kffHg"}',
  'forceRing 200 application/json':
    '{"applied":false,"epoch":1000008,"lost":["n2"],"survivors":["n1"],"tables":[],"mayLose":["the latest epochs"],"voters":{"before":["n1","n2"],"after":["n1"]}}',
  'showLive 503 application/json':
    '{"status":"failing","node":"n1","checks":[{"name":"disk","ok":true,"detail":"writable"},{"name":"epoch","ok":false,"detail":"epoch 7"}]}',
  'showReady 503 application/json':
    '{"status":"failing","node":"n1","checks":[{"name":"disk","ok":true,"detail":"writable"},{"name":"epoch","ok":false,"detail":"epoch 7"}]}',
  'showHealthy 503 application/json': '{"status":"failing","node":"n1","ringWithQuorum":0.5,"checks":[]}',
};
