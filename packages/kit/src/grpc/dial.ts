import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as connectSocket, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  type Address,
  checkServer,
  type Expected,
  endWhenRevoked,
  keepReading,
  SERVER_NAME,
  type TlsIdentity,
} from '@longshore/transport';
import { checkHealth } from './check-health.ts';
import { MAX_HEADER_LIST_BYTES, SESSION_WINDOW_BYTES, STREAM_WINDOW_BYTES } from './limits.ts';
import { LOCAL_PULSE, type OpenStreams, REMOTE_PULSE, watchPulse } from './pulse.ts';

/** A peer on the network that does not answer at all must not hold its callers for minutes. */
const CONNECT_TIMEOUT_MS = 3_000;

const SESSION_OPTIONS = {
  settings: {
    initialWindowSize: STREAM_WINDOW_BYTES,
    maxHeaderListSize: MAX_HEADER_LIST_BYTES,
    enablePush: false,
  },
  maxSessionMemory: 64,
};

export interface DialOptions {
  address: Address;
  /** Asked for TCP only. */
  identity(): TlsIdentity;
  expected: Expected;
  /** Refuses a server that says that it does not serve. */
  asksHealth: boolean;
  streams: OpenStreams;
  /** Sees each TCP connection when it is made. */
  onSocket?: ((socket: Socket) => void) | undefined;
  /** Hears of a session whose server has stopped to answer, before its streams do. */
  onSilent(session: ClientHttp2Session, reason: Error): void;
}

/** An HTTP/2 session whose server has spoken; throws the socket's error when it cannot be reached. */
export async function dial(options: DialOptions, signal: AbortSignal): Promise<ClientHttp2Session> {
  const connection = open(options);
  const { session } = connection;
  const abort = () => giveUp(connection, 'the connection is not wanted any more');
  signal.addEventListener('abort', abort, { once: true });
  await spoken(connection).finally(() => signal.removeEventListener('abort', abort));
  session.setLocalWindowSize(SESSION_WINDOW_BYTES);
  if (options.address.kind === 'tcp') options.onSocket?.(connection.socket);
  endWhenRevoked(connection.socket, options.expected, () =>
    session.destroy(new Error("the server's certificate is revoked")),
  );
  const pulse = options.address.kind === 'unix' ? LOCAL_PULSE : REMOTE_PULSE;
  watchPulse(session, pulse, options.streams, (reason) => options.onSilent(session, reason));
  if (!options.asksHealth) return session;
  try {
    await checkHealth(session);
    return session;
  } catch (error) {
    session.destroy();
    throw error;
  }
}

interface Connection {
  session: ClientHttp2Session;
  socket: Socket;
}

function open({ address, identity, expected }: DialOptions): Connection {
  if (address.kind === 'unix') return over(connectSocket(address.path), 'http://localhost');
  const { host, port } = address;
  const tls = {
    host,
    port,
    secureContext: identity().context,
    servername: SERVER_NAME,
    ALPNProtocols: ['h2'],
    checkServerIdentity: checkServer(expected),
  };
  return over(connectTls(tls), `https://${SERVER_NAME}`);
}

function over(socket: Socket, authority: string): Connection {
  keepReading(socket);
  return { session: connect(authority, { ...SESSION_OPTIONS, createConnection: () => socket }), socket };
}

/** Node's own `destroy` waits for the socket of a session that is still connecting, which may take minutes. */
function giveUp({ session, socket }: Connection, why: string): void {
  session.destroy(new Error(why));
  socket.destroy();
}

function spoken(connection: Connection): Promise<void> {
  const { session } = connection;
  return new Promise((resolve, reject) => {
    const timeout = setTimeout(() => giveUp(connection, 'connect timed out'), CONNECT_TIMEOUT_MS);
    session.once('remoteSettings', () => {
      clearTimeout(timeout);
      resolve();
    });
    // Stays: a session that breaks later fails its streams, which is where that is told.
    session.on('error', reject);
    // A server that hangs up without a word gives no error.
    session.once('close', () => {
      clearTimeout(timeout);
      reject(new Error('the server closed the connection'));
    });
  });
}
