import type { Socket } from 'node:net';
import { type ChannelCredentials, credentials, experimental } from '@grpc/grpc-js';
import {
  type Address,
  checkServer,
  type Expected,
  endWhenRevoked,
  keepReading,
  type Pems,
  requireAuthority,
  requireTls,
  type TlsFiles,
  TlsIdentity,
  type Warnings,
} from '@longshore/transport';

type CertificateProvider = Parameters<typeof experimental.createCertificateProviderChannelCredentials>[0];

export interface SecureChannelOptions {
  log?: Warnings | undefined;
  /** Sees each TCP connection when it is made. */
  onSocket?: ((socket: Socket) => void) | undefined;
  /** Who calls is told by something else than a certificate, which may be missing. */
  isAnonymous?: boolean | undefined;
}

/** What a channel shows its servers, and whom it takes them for. New files are used for new connections. */
export class SecureChannel {
  readonly #tls: TlsFiles;
  readonly #expected: Expected;
  readonly #options: SecureChannelOptions;
  #identity: TlsIdentity | undefined;

  constructor(tls: TlsFiles, expected: Expected, options: SecureChannelOptions) {
    this.#tls = tls;
    this.#expected = expected;
    this.#options = options;
  }

  /** Throws FailedPrecondition for TCP without TLS files. */
  credentialsFor(address: Address): ChannelCredentials {
    if (address.kind === 'unix') return eachSocket(credentials.createInsecure(), keepReading);
    const require = this.#options.isAnonymous ? requireAuthority : requireTls;
    this.#identity ??= TlsIdentity.open(require(address.host, this.#tls), this.#options.log);
    const provider = providerOf(this.#identity);
    const own = this.#identity.pems.cert.length > 0 ? provider : null;
    const made = experimental.createCertificateProviderChannelCredentials(provider, own, {
      checkServerIdentity: checkServer(this.#expected),
    });
    return eachSocket(made, (socket) => {
      keepReading(socket);
      this.#options.onSocket?.(socket);
      endWhenRevoked(socket, this.#expected, () => socket.destroy());
    });
  }

  close(): void {
    this.#identity?.close();
    this.#identity = undefined;
  }
}

/** grpc-js has no word for the connections it makes: they show up where TLS would be put over them. */
function eachSocket(made: ChannelCredentials, onSocket: (socket: Socket) => void): ChannelCredentials {
  const create = made._createSecureConnector.bind(made);
  made._createSecureConnector = (...args) => {
    const connector = create(...args);
    const connect = connector.connect.bind(connector);
    connector.connect = async (socket) => {
      const result = await connect(socket);
      onSocket(result.socket);
      return result;
    };
    return connector;
  };
  return made;
}

function providerOf(identity: TlsIdentity): CertificateProvider {
  const stops = new Map<unknown, () => void>();
  const listen = (listener: unknown, tell: (pems: Pems) => void) => {
    stops.set(listener, identity.onChange(tell));
    tell(identity.pems);
  };
  const stop = (listener: unknown) => {
    stops.get(listener)?.();
    stops.delete(listener);
  };
  return {
    addCaCertificateListener: (listener) => listen(listener, ({ ca }) => listener({ caCertificate: ca })),
    removeCaCertificateListener: stop,
    addIdentityCertificateListener: (listener) =>
      listen(listener, ({ cert, key }) => listener({ certificate: cert, privateKey: key })),
    removeIdentityCertificateListener: stop,
  };
}
