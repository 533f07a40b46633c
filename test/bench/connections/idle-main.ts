import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { atOnce } from '../at-once.ts';

/**
 * Connections to a gateway that ask for its health, once, and then for nothing. Arguments: its address, the file of its
 * authority, and how many. Tells its parent once all are there, and ends when one of them does.
 */
const [address = '', caFile = '', count = '0'] = process.argv.slice(2);

/** TLS handshakes under way. */
const WIDTH = 20;
const ca = readFileSync(caFile);

process.on('disconnect', () => process.exit());
await atOnce(WIDTH, Number(count), async () => {
  const session = connect(`https://${address}`, { ca, checkServerIdentity: () => undefined });
  session.on('close', () => {
    throw new Error('an idle connection was ended');
  });
  const stream = session.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.resume().end(Buffer.alloc(5));
  await once(stream, 'close');
});
process.send?.('started');
