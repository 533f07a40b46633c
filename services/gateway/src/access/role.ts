import { invalidArgument } from '@longshore/errors';
import { parseIdentifier } from '@longshore/oci';
import type { Need } from './rule.ts';

/** `host` stands beside the others: it lets its holder make containers that give their owner the host. */
export const ROLES = ['viewer', 'operator', 'admin', 'host'] as const;
export type Role = (typeof ROLES)[number];

/** Stands for all namespaces, and for what is no namespace's. */
export const WHOLE_FLEET = '*';

/** Gives a subject a role. The three together are its identity. */
export interface RoleBinding {
  subject: string;
  /** The exact name, or {@link WHOLE_FLEET}. */
  namespace: string;
  role: Role;
}

const ALLOWS: Readonly<Record<Role, readonly Need[]>> = {
  viewer: ['read'],
  operator: ['read', 'write'],
  admin: ['read', 'write', 'admin'],
  host: [],
};

export function roleAllows(role: Role, need: Need): boolean {
  return ALLOWS[role].includes(need);
}

/** More than the subjects of identity providers have, and less than floods an index. */
const MAX_SUBJECT_LENGTH = 1024;
const SUBJECT = /^(user|service|group|oidc|token)\/[!-~]+( [!-~]+)*$/;

/** Throws InvalidArgument for what can be nobody, nowhere. */
export function checkBinding({ subject, namespace }: RoleBinding): void {
  if (!SUBJECT.test(subject) || subject.length > MAX_SUBJECT_LENGTH) {
    throw invalidArgument(
      `subject ${JSON.stringify(subject.slice(0, MAX_SUBJECT_LENGTH))}: want user/<name>, service/<name>, group/<name>, oidc/<issuer>#<subject> or token/<id>`,
    );
  }
  checkPlace(namespace);
}

/** Throws InvalidArgument for what is neither a namespace's name nor {@link WHOLE_FLEET}. */
export function checkPlace(namespace: string): void {
  if (namespace !== WHOLE_FLEET) parseIdentifier(namespace, 'namespace');
}
