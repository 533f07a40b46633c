import { LongshoreError, unavailable } from '@longshore/errors';
import { describe, expect, it } from 'vitest';
import { connectionFailure } from './connection-failure.ts';
import { hintFor } from './hint.ts';

describe('the hint of an error', () => {
  it.each([
    ['user/a may not write in namespace "ci"', 'longshore role grant operator user/a -n ci'],
    ['token/9x may not read in the whole fleet', 'longshore role grant viewer token/9x --fleet'],
    [
      'user/a lacks the role host in namespace "ci", which this needs: it is privileged',
      'longshore role grant host user/a -n ci',
    ],
  ])('names the binding that is missing: %s', (message, command) => {
    expect(hintFor(new LongshoreError('PermissionDenied', message))).toContain(`"${command}"`);
  });

  it('says that nobody listens', () => {
    const error = unavailable('No connection established. Last error: connect ECONNREFUSED 127.0.0.1:1.');
    expect(hintFor(error)).toMatch(/^Nothing listens there/);
  });

  it.each([
    ['connect EACCES /run/n1.d/node.sock', 'server at /run/n1.d/node.sock cannot be reached (EACCES)'],
    ['self-signed certificate in certificate chain', "the gateway's certificate is"],
    ['8037:error:0A00010B:SSL routines:wrong version number:a.c:77:', 'does not speak TLS'],
  ])('is about the connection where that failed: %s', (reason, text) => {
    const message = `service "gateway": No connection established. Last error: Error: ${reason}. Resolution note: `;
    expect(connectionFailure(message)?.text).toContain(text);
  });
});
