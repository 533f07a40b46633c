import { formatReference, type Reference } from '@longshore/oci';
import { Authorizer } from './authorizer.ts';
import type { CredentialSource } from './credentials.ts';
import { endpointOf } from './endpoint.ts';
import { registryError } from './registry-error.ts';
import {
  type HttpRequest,
  type HttpResponse,
  type RegistryTransport,
  refuseDowngrade,
} from './registry-transport.ts';

export interface RegistryAccess {
  credentials?: CredentialSource | undefined;
  /** Loopback is always reached over HTTP. */
  plainHttp?: boolean;
  /** Sent with every request to the registry itself. */
  headers?: Readonly<Record<string, string>>;
  /** Where its API is, if not where the host's name says, e.g. `https://registry.example/prefix/v2`. */
  endpoint?: string;
  /** The registry whose stead it takes, as in references: it is told whose images are meant. */
  mirrorOf?: string;
}

export interface SessionRequest extends Pick<HttpRequest, 'method' | 'body' | 'isRepeatable' | 'signal'> {
  /** Of the API, from `/v2/` on; with `isNamed` what the registry has named as the place, a path of its own or a whole URL. */
  path: string;
  isNamed?: boolean;
  repository: string;
  /** What is asked for, for errors. */
  subject: string;
  headers?: Record<string, string>;
  /** Default pull. */
  actions?: 'pull' | 'pull,push';
  /** A further repository that is to be read. */
  from?: string | undefined;
}

/** One caller at one registry: requests that prove who asks, once the registry wants to know. */
export class RegistrySession {
  /** For errors: `registry "host"`. */
  readonly subject: string;
  readonly #transport: RegistryTransport;
  readonly #endpoint: string;
  readonly #mirrorOf: string | undefined;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #authorizer: Authorizer;

  /** `host` as in references. */
  constructor(transport: RegistryTransport, host: string, access: RegistryAccess) {
    this.subject = `registry ${JSON.stringify(host)}`;
    this.#transport = transport;
    this.#endpoint = access.endpoint ?? `${endpointOf(host, access.plainHttp ?? false)}/v2`;
    this.#mirrorOf = access.mirrorOf;
    this.#headers = access.headers ?? {};
    const allowsHttp = this.#endpoint.startsWith('http:');
    this.#authorizer = new Authorizer({ transport, host, allowsHttp, credentials: access.credentials });
  }

  /** Any answer but 401, which is Unauthenticated. A URL elsewhere is asked without saying who asks. */
  async send(request: SessionRequest): Promise<HttpResponse> {
    const { path, isNamed, repository, subject, actions = 'pull', from, headers, ...rest } = request;
    const url = isNamed ? new URL(path, this.#endpoint) : this.#apiUrl(path);
    refuseDowngrade(this.#endpoint, url);
    if (url.origin !== new URL(this.#endpoint).origin) {
      return this.#transport.send({ ...rest, url: url.href, headers: { ...headers } });
    }
    const send = (authorization: string | undefined) =>
      this.#transport.send({
        ...rest,
        url: url.href,
        headers: { ...headers },
        ownHeaders: { ...this.#headers, ...(authorization && { authorization }) },
      });
    const scopes = [`repository:${repository}:${actions}`, ...(from ? [`repository:${from}:pull`] : [])];
    const sent = this.#authorizer.current(scopes);
    const response = await send(sent);
    if (response.statusCode !== 401) return response;
    const words = await wordsOf(response);
    const challenges = [response.headers['www-authenticate'] ?? []].flat();
    const answer = await this.#authorizer.answer(challenges, repository, scopes, sent, rest.signal);
    if (answer === undefined) throw registryError(subject, 401, words);
    const second = await send(answer);
    if (second.statusCode !== 401) return second;
    throw registryError(subject, 401, (await wordsOf(second)) || words);
  }

  #apiUrl(path: string): URL {
    const url = new URL(`${this.#endpoint}${path.slice('/v2'.length)}`);
    if (this.#mirrorOf !== undefined) url.searchParams.set('ns', this.#mirrorOf);
    return url;
  }
}

export function subjectOf(reference: Pick<Reference, 'locator' | 'object'>): string {
  return `image ${JSON.stringify(formatReference(reference))}`;
}

/** What a registry says of its refusal; nothing when the connection ends before it has. */
export function wordsOf({ body }: HttpResponse): Promise<string> {
  return body.text().catch(() => '');
}
