import { describe, expect, it } from 'vitest';
import { RequestLog } from './registry-requests.ts';

describe('RequestLog', () => {
  it('reads entries that arrive in pieces', () => {
    const log = new RequestLog();
    log.write(Buffer.from('127.0.0.1 - - [22/Nov/2026:17:20:53 +0000] "GET /v2/x/mani'));
    log.write(Buffer.from('fests/y?a=b HTTP/1.1" 404 91 "" "curl"\nother words\n'));
    expect(log.all()).toEqual([{ method: 'GET', path: '/v2/x/manifests/y?a=b', status: 404 }]);
    log.clear();
    expect(log.all()).toEqual([]);
  });
});
