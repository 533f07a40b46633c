import { invalidArgument } from '@longshore/errors';
import type { AccessRepository, BindingRecord, TokenRecord } from '../storage/postgres/access-repository.ts';
import type { AccessControl } from './access-control.ts';
import type { AccessDirectory } from './access-directory.ts';
import { type AccessListed, type AccessPage, pageOf, timeIn } from './access-page.ts';
import { formatApiToken, hashOfSecret, newApiToken } from './api-token.ts';
import type { Caller } from './caller.ts';
import { checkBinding, checkPlace, type Role, type RoleBinding } from './role.ts';

const DAY_MS = 24 * 60 * 60_000;
export const DEFAULT_TOKEN_TTL_MS = 30 * DAY_MS;
export const MAX_TOKEN_TTL_MS = 366 * DAY_MS;
const MAX_DESCRIPTION_LENGTH = 256;

export interface AccessAdminOptions {
  repository: AccessRepository;
  directory: Pick<AccessDirectory, 'look' | 'newest'>;
  access: Pick<AccessControl, 'authorize'>;
}

export interface TokenRequest {
  namespace: string;
  role: Role;
  description: string;
  /** Default: thirty days. */
  ttlMs?: number | undefined;
}

/** Whom the edge takes a caller for. */
export interface Identity {
  name: string;
  groups: readonly string[];
  bindings: RoleBinding[];
  /** It may do everything, whatever is bound. */
  unrestricted: boolean;
}

/**
 * Tokens and bindings for those who decide about them. That a caller is an admin of the place, the rule of its call has found
 * out. What is changed holds here when a call has ended, at other gateways within seconds.
 */
export class AccessAdmin {
  readonly #options: AccessAdminOptions;

  constructor(options: AccessAdminOptions) {
    this.#options = options;
  }

  async whoAmI(caller: Caller): Promise<Identity> {
    const { name, groups, kind } = caller;
    const { grants } = await this.#options.directory.newest();
    return { name, groups, bindings: grants.of(caller), unrestricted: kind === 'local' };
  }

  /** The secret is told here only. Throws InvalidArgument, ResourceExhausted. */
  async createToken(caller: Caller, request: TokenRequest): Promise<{ token: TokenRecord; secret: string }> {
    const { namespace, role, description, ttlMs = DEFAULT_TOKEN_TTL_MS } = request;
    checkPlace(namespace);
    await this.#checkHost(caller, role);
    if (!(ttlMs > 0 && ttlMs <= MAX_TOKEN_TTL_MS)) {
      throw invalidArgument('token: ttl must be more than nothing and at most a year');
    }
    if (description.length > MAX_DESCRIPTION_LENGTH) {
      throw invalidArgument(`token: description: more than ${MAX_DESCRIPTION_LENGTH} characters`);
    }
    const made = newApiToken();
    const token = await this.#options.repository.createToken({
      id: made.id,
      secretHash: hashOfSecret(made.secret),
      namespace,
      role,
      description,
      ttlMs,
      createdBy: caller.name,
    });
    await this.#options.directory.look();
    return { token, secret: formatApiToken(made) };
  }

  /** Throws InvalidArgument for a cursor of another list, or a limit that is none. */
  listTokens(wanted: AccessPage): Promise<AccessListed<TokenRecord>> {
    return pageOf(wanted, 2, {
      list: ([createdAt, id], limit) => {
        const after = createdAt && id ? ([timeIn(createdAt), id] as const) : undefined;
        return this.#options.repository.listTokens({ namespace: wanted.namespace, after, limit });
      },
      keyOf: ({ createdAt, id }) => [createdAt.toISOString(), id],
    });
  }

  /** Throws NotFound, also for one that was made for another namespace than is named. */
  async revokeToken(id: string, namespace?: string): Promise<void> {
    await this.#options.repository.deleteToken(id, namespace);
    await this.#options.directory.look();
  }

  /** Throws InvalidArgument, ResourceExhausted. */
  async bind(caller: Caller, binding: RoleBinding): Promise<BindingRecord> {
    checkBinding(binding);
    await this.#checkHost(caller, binding.role);
    const record = await this.#options.repository.bind(binding, caller.name);
    await this.#options.directory.look();
    return record;
  }

  /** As {@link listTokens}. */
  listBindings(wanted: AccessPage): Promise<AccessListed<BindingRecord>> {
    return pageOf(wanted, 3, {
      list: ([subject, place, role], limit) => {
        const after = subject && place && role ? ([subject, place, role] as const) : undefined;
        return this.#options.repository.listBindings({ namespace: wanted.namespace, after, limit });
      },
      keyOf: ({ subject, namespace, role }) => [subject, namespace, role],
    });
  }

  /** Throws NotFound. */
  async unbind(binding: RoleBinding): Promise<void> {
    await this.#options.repository.unbind(binding);
    await this.#options.directory.look();
  }

  /** A namespace's admin has no more than the namespace to give. */
  async #checkHost(caller: Caller, role: Role): Promise<void> {
    if (role === 'host') await this.#options.access.authorize(caller, { on: 'fleet', need: 'admin' }, '');
  }
}
