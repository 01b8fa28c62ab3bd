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
    '"--quoral-5fba0a242a50ef48634bd4badcfabd77\\r\\nContent-Type: text/plain\\r\\nETag: \\"abb48699656aeac9\\"\\r\\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\\r\\nquoral-expires: 2026-01-01T02:00:00.206Z\\r\\nContent-Encoding: identity\\r\\nquoral-meta-shop: north\\r\\n\\r\\n3 apples\\r\\n--quoral-5fba0a242a50ef48634bd4badcfabd77\\r\\nContent-Type: application/octet-stream\\r\\nETag: \\"1a52dac44753f07e\\"\\r\\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\\r\\n\\r\\n1 pear\\r\\n--quoral-5fba0a242a50ef48634bd4badcfabd77\\r\\nContent-Type: application/octet-stream\\r\\nETag: \\"51fcd873008101fb\\"\\r\\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\\r\\n\\r\\n1 plum\\r\\n--quoral-5fba0a242a50ef48634bd4badcfabd77\\r\\nContent-Type: application/octet-stream\\r\\nETag: \\"0300ae867eca053d\\"\\r\\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\\r\\n\\r\\n1 fig\\r\\n--quoral-5fba0a242a50ef48634bd4badcfabd77--\\r\\n"',
  'getValue 300 application/json':
    '{"context":"AQEAgoCAlrGvHYHgtJaxrx0kyKjWgczt7w","siblings":[{"etag":"abb48699656aeac9","contentType":"text/plain","contentEncoding":"identity","lastModified":"2026-01-01T00:00:00.205Z","expires":"2026-01-01T02:00:00.206Z","meta":{"shop":"north"},"value":"MyBhcHBsZXM="},{"etag":"1a52dac44753f07e","contentType":"application/octet-stream","lastModified":"2026-01-01T00:00:00.208Z","meta":{},"value":"MSBwZWFy"},{"etag":"51fcd873008101fb","contentType":"application/octet-stream","lastModified":"2026-01-01T00:00:00.209Z","meta":{},"value":"MSBwbHVt"},{"etag":"0300ae867eca053d","contentType":"application/octet-stream","lastModified":"2026-01-01T00:00:00.211Z","meta":{},"value":"MSBmaWc="}]}',
  'operateValue 300 multipart/mixed':
    '"--quoral-f31f43cfebe4e9c50673aa7e6a6d563a\\r\\nContent-Type: text/plain\\r\\nETag: \\"abb48699656aeac9\\"\\r\\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\\r\\nquoral-expires: 2026-01-01T02:00:00.218Z\\r\\nContent-Encoding: identity\\r\\nquoral-meta-shop: north\\r\\n\\r\\n3 apples\\r\\n--quoral-f31f43cfebe4e9c50673aa7e6a6d563a\\r\\nContent-Type: application/octet-stream\\r\\nETag: \\"1a52dac44753f07e\\"\\r\\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\\r\\n\\r\\n1 pear\\r\\n--quoral-f31f43cfebe4e9c50673aa7e6a6d563a\\r\\nContent-Type: application/octet-stream\\r\\nETag: \\"51fcd873008101fb\\"\\r\\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\\r\\n\\r\\n1 plum\\r\\n--quoral-f31f43cfebe4e9c50673aa7e6a6d563a\\r\\nContent-Type: application/octet-stream\\r\\nETag: \\"0300ae867eca053d\\"\\r\\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\\r\\n\\r\\n1 fig\\r\\n--quoral-f31f43cfebe4e9c50673aa7e6a6d563a--\\r\\n"',
  'operateValue 300 application/json':
    '{"context":"AQEAgoCAlrGvHYKAt5axrx1JPfsby2ggWg","siblings":[{"etag":"abb48699656aeac9","contentType":"text/plain","contentEncoding":"identity","lastModified":"2026-01-01T00:00:00.205Z","expires":"2026-01-01T02:00:00.220Z","meta":{"shop":"north"},"value":"MyBhcHBsZXM="},{"etag":"1a52dac44753f07e","contentType":"application/octet-stream","lastModified":"2026-01-01T00:00:00.208Z","meta":{},"value":"MSBwZWFy"},{"etag":"51fcd873008101fb","contentType":"application/octet-stream","lastModified":"2026-01-01T00:00:00.209Z","meta":{},"value":"MSBwbHVt"},{"etag":"0300ae867eca053d","contentType":"application/octet-stream","lastModified":"2026-01-01T00:00:00.211Z","meta":{},"value":"MSBmaWc="}]}',
  'listKeys 200 application/json': '{"keys":["user-17","user-18"],"next":"AXVzZXItMThiZVlqBTiKig"}',
  'listKeys 200 application/x-ndjson':
    '"{\\"key\\":\\"user-17\\"}\\n{\\"key\\":\\"user-18\\"}\\n{\\"key\\":\\"user-19\\"}\\n{\\"next\\":null}\\n"',
  'batch 200 application/json':
    '{"results":[{"status":204,"etag":"887c2a66178f51f8","context":"AQEAgoCAlrGvHYKg2Zaxrx2UJTMlIxz3UQ","replicas":"acked=2; needed=2; of=3; fallbacks=0","coordinator":"n1"},{"status":404,"replicas":"acked=2; needed=2; of=3; fallbacks=0","coordinator":"n1","problem":{"type":"urn:quoral:problem:not-found","title":"There is nothing here","status":404,"detail":"there is no value under this key"}}]}',
  'batch 200 application/msgpack':
    '"�\\u0000\\u0001�results��\\u0000\\u0004�status�̤etag�33c776ed867c9781�replicas�$acked=2; needed=2; of=3; fallbacks=0�coordinator�n1�\\u0000\\u0004�status�\\u0001��replicas�$acked=2; needed=2; of=3; fallbacks=0�coordinator�n1�problem�\\u0000\\u0004�type�urn:quoral:problem:not-found�title�There is nothing here�status�\\u0001��detail� there is no value under this key"',
  'watchBucket 200 text/event-stream':
    '": watching\\nid: AQEA6dLqtrczAwAShu74qT4ZhCPAbXTxqka8NgEJwk2vuZ3XoWCj9edKXijLNgLc3wPAZn6IsrawWOdk4ui3NW_nYeq17630\\n\\nid: AQEA6dLqtrczAwAShu74qT4ZhCPAbXTxqka8NgEJwk2vuZ3XoWCj9edKXijLNgLc3wPAZn6IsrawWOdk4ui3Nj-08MjczkYk\\ndata: {\\"bucket\\":\\"carts\\",\\"key\\":\\"user-21\\",\\"etag\\":\\"33c776ed867c9781\\",\\"deleted\\":false}\\n\\nevent: end\\ndata: {\\"reason\\":\\"timeout\\"}\\n\\n"',
  'acquireLease 200 application/json':
    '{"token":1767225600412,"expiresAt":"2026-01-01T00:00:30.414Z","holder":"worker-7"}',
  'showLease 200 application/json':
    '{"token":1767225600412,"expiresAt":"2026-01-01T00:00:30.414Z","holder":"worker-7"}',
  'createToken 201 application/json':
    '{"name":"shop","scopes":["read:carts","write:carts"],"createdAt":"2026-01-01T00:00:00.433Z","expiresAt":null,"token":"quoral_shop_LvlQQcinLok6CwrTC4wotTN-xwwUNll4JXK0xvl_22w"}',
  'listTokens 200 application/json':
    '{"tokens":[{"name":"shop","scopes":["read:carts","write:carts"],"createdAt":"2026-01-01T00:00:00.433Z","expiresAt":null}]}',
  'showCluster 200 application/json':
    '{"clusterId":"986c2ba6df62cb6b836d26a7da1b8066","epoch":7,"self":"n1","members":[{"id":"n1","url":"http://n1","peer":"n1:7201","zone":"default","weight":1,"state":"active","reachable":true,"clockDifference":0,"share":0.3333333333333333,"partitions":16,"hintsWaiting":0},{"id":"n2","url":"http://n2","peer":"n2:7201","zone":"default","weight":1,"state":"active","reachable":true,"clockDifference":-1,"share":0.3333333333333333,"partitions":16,"hintsWaiting":0},{"id":"n3","url":"http://n3","peer":"n3:7201","zone":"default","weight":1,"state":"active","reachable":true,"clockDifference":0,"share":0.3333333333333333,"partitions":16,"hintsWaiting":0}],"transfers":[],"hintsWaiting":0}',
  'showRing 200 application/json':
    '{"epoch":7,"partitions":16,"hashSeed":"3e2a2fb7424ae65fdfa78a41db179192","members":[{"id":"n1","url":"http://n1","zone":"default"},{"id":"n2","url":"http://n2","zone":"default"},{"id":"n3","url":"http://n3","zone":"default"}],"placements":{"3":[["n1","n2","n3"],["n2","n1","n3"],["n3","n2","n1"],["n1","n3","n2"],["n2","n3","n1"],["n1","n2","n3"],["n3","n2","n1"],["n1","n3","n2"],["n3","n1","n2"],["n2","n1","n3"],["n2","n3","n1"],["n3","n2","n1"],["n1","n2","n3"],["n3","n1","n2"],["n1","n3","n2"],["n2","n1","n3"]]}}',
  'locateKey 200 application/json':
    '{"hash":"f752616514e36c5a","partition":15,"primaries":["n2","n1","n3"],"fallbacks":[]}',
  'explainKey 200 application/json':
    '{"bucket":"carts","partition":10,"replicas":[{"node":"n2","role":"primary","reachable":true,"versions":[{"dot":"n1/129171456000002/129171456942081","time":"2026-01-01T00:00:00.230Z","bytes":16,"deleted":false}],"vector":["n1/129171456000002/129171456958465"],"digest":"df2fe8b02f90109333884c807304e557"},{"node":"n3","role":"primary","reachable":true,"versions":[{"dot":"n1/129171456000002/129171456942081","time":"2026-01-01T00:00:00.230Z","bytes":16,"deleted":false}],"vector":["n1/129171456000002/129171456958465"],"digest":"df2fe8b02f90109333884c807304e557"},{"node":"n1","role":"primary","reachable":true,"versions":[{"dot":"n1/129171456000002/129171456942081","time":"2026-01-01T00:00:00.230Z","bytes":16,"deleted":false}],"vector":["n1/129171456000002/129171456958465"],"digest":"df2fe8b02f90109333884c807304e557"}],"hints":[],"agree":true,"differences":[]}',
  'beginRepair 202 application/json':
    '{"id":1767225600455,"state":"running","bucket":"carts","done":0,"steps":9,"compared":0,"keys":0,"underWay":0,"refused":0,"nodes":[{"node":"n1","rows":0,"damaged":0,"received":0},{"node":"n2","rows":0,"damaged":0,"received":0},{"node":"n3","rows":0,"damaged":0,"received":0}],"differed":[],"reclaimed":0,"blocked":[],"failures":[]}',
  'showRepair 200 application/json':
    '{"id":1767225600455,"state":"running","bucket":"carts","done":0,"steps":9,"compared":0,"keys":0,"underWay":0,"refused":0,"nodes":[{"node":"n1","rows":0,"damaged":0,"received":0},{"node":"n2","rows":0,"damaged":0,"received":0},{"node":"n3","rows":0,"damaged":0,"received":0}],"differed":[],"reclaimed":0,"blocked":[],"failures":[]}',
  'planRing 200 application/json':
    '{"id":"84b249f77bbf654e","epoch":7,"moves":[],"dropped":[],"summary":{"moves":0,"leastMoves":0,"dropped":0,"keys":0,"bytes":0,"reordered":2,"seconds":0,"members":[{"id":"n1","zone":"default","weight":2,"change":"stays","before":16,"after":16,"gets":0,"gives":0,"keys":0,"bytes":0},{"id":"n2","zone":"default","weight":1,"change":"stays","before":16,"after":16,"gets":0,"gives":0,"keys":0,"bytes":0},{"id":"n3","zone":"default","weight":1,"change":"stays","before":16,"after":16,"gets":0,"gives":0,"keys":0,"bytes":0}],"voters":{"before":["n1","n2","n3"],"after":["n1","n2","n3"]},"tables":[{"n":3,"owners":{"before":3,"after":3},"balance":{"before":{"fullest":1,"emptiest":1},"after":{"fullest":1.3333333333333333,"emptiest":0.6666666666666666}},"zones":{"before":{"fewest":1,"possible":1},"after":{"fewest":1,"possible":1}}}],"givesUp":[],"risks":[{"code":"uneven-weights","detail":"for n=3 one member owns 1.33 times its fair share, and one 0.67 times: a member has one replica of a key at most, whatever its weight"}]}}',
  'applyPlan 202 application/json':
    '{"state":"running","id":"84b249f77bbf654e","epoch":8,"moves":0,"done":0,"keys":0,"bytes":0,"throttle":8388608,"bytesPerSecond":null,"secondsLeft":null,"waiting":[],"last":null,"transfers":[]}',
  'showTransfers 200 application/json':
    '{"state":"running","id":"84b249f77bbf654e","epoch":8,"moves":0,"done":0,"keys":0,"bytes":0,"throttle":8388608,"bytesPerSecond":null,"secondsLeft":null,"waiting":[],"last":null,"transfers":[]}',
  'pauseChange 202 application/json':
    '{"state":"paused","id":"84b249f77bbf654e","epoch":9,"moves":0,"done":0,"keys":0,"bytes":0,"throttle":8388608,"bytesPerSecond":null,"secondsLeft":null,"waiting":[],"last":null,"transfers":[]}',
  'resumeChange 202 application/json':
    '{"state":"running","id":"84b249f77bbf654e","epoch":10,"moves":0,"done":0,"keys":0,"bytes":0,"throttle":8388608,"bytesPerSecond":null,"secondsLeft":null,"waiting":[],"last":null,"transfers":[]}',
  'abortChange 202 application/json':
    '{"state":"aborting","id":"84b249f77bbf654e","epoch":11,"moves":0,"done":0,"keys":0,"bytes":0,"throttle":8388608,"bytesPerSecond":null,"secondsLeft":null,"waiting":[],"last":null,"transfers":[]}',
  'showLive 200 application/json':
    '{"status":"ok","node":"n1","checks":[{"name":"process","ok":true,"detail":"answers"},{"name":"disk","ok":true,"detail":"works"},{"name":"tenures","ok":true,"detail":"left in this boot"}]}',
  'showReady 200 application/json':
    '{"status":"ok","node":"n1","checks":[{"name":"disk","ok":true,"detail":"writable"},{"name":"epoch","ok":true,"detail":"epoch 11 is confirmed by a majority"},{"name":"member","ok":true,"detail":"active"},{"name":"serving","ok":true,"detail":"data requests are served"},{"name":"peers","ok":true,"detail":"2 of 2 can be reached"},{"name":"clocks","ok":true,"detail":"at most 500 ms apart, as far as members answer"}]}',
  'showHealthy 200 application/json':
    '{"status":"ok","node":"n1","ringWithQuorum":1,"checks":[{"name":"quorum","ok":true,"detail":"100.0 % of the ring has a quorum of owners that can be reached and vouch for it"}]}',
  'operateValue 200 application/json': '{"type":"counter","value":10,"context":"AQEAgoCAlrGvHYHA_Jaxrx2jeoii0kM65w"}',
  'forceRing 200 application/json':
    '{"applied":false,"epoch":1000008,"lost":["n2"],"survivors":["n1"],"tables":[],"mayLose":["the latest epochs"],"voters":{"before":["n1","n2"],"after":["n1"]}}',
  'showKeyForce 200 application/json':
    '{"applied":false,"bucket":"stock","partition":1,"id":"0123456789abcdef","refusal":"","keeps":null,"owners":[{"node":"n1","register":"damaged","reason":"","version":null}],"mayLose":["acknowledged changes"]}',
  'forceKey 200 application/json':
    '{"applied":true,"bucket":"stock","partition":1,"id":"0123456789abcdef","refusal":"","keeps":null,"owners":[{"node":"n1","register":"damaged","reason":"","version":null}],"mayLose":["acknowledged changes"]}',
  'showLive 503 application/json':
    '{"status":"failing","node":"n1","checks":[{"name":"disk","ok":true,"detail":"writable"},{"name":"epoch","ok":false,"detail":"epoch 7"}]}',
  'showReady 503 application/json':
    '{"status":"failing","node":"n1","checks":[{"name":"disk","ok":true,"detail":"writable"},{"name":"epoch","ok":false,"detail":"epoch 7"}]}',
  'showHealthy 503 application/json': '{"status":"failing","node":"n1","ringWithQuorum":0.5,"checks":[]}',
};
