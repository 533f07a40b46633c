import { type Binding, Role } from '@longshore/proto/longshore/access/v1/access';
import { timeOf } from '../output/quantity.ts';
import type { View } from '../output/show.ts';

/** In the words of people. */
const ROLES = {
  [Role.UNSPECIFIED]: 'none',
  [Role.VIEWER]: 'viewer',
  [Role.OPERATOR]: 'operator',
  [Role.ADMIN]: 'admin',
  [Role.HOST]: 'host',
} as const;

type RoleName = (typeof ROLES)[Role];
export const ROLE_NAMES: readonly RoleName[] = ['viewer', 'operator', 'admin', 'host'];

export function roleOf(name: string): Role {
  const [role] = Object.entries(ROLES).find(([, each]) => each === name) ?? [];
  return Number(role ?? Role.UNSPECIFIED) as Role;
}

export const BINDING_VIEW: View<Binding> = {
  columns: [
    { header: 'SUBJECT', value: ({ subject }) => subject },
    { header: 'ROLE', value: ({ role }) => ROLES[role] },
    { header: 'NAMESPACE', value: ({ namespace }) => namespace },
    { header: 'GIVEN BY', value: ({ createdBy }) => createdBy, isWide: true },
    { header: 'GIVEN AT', value: ({ createdAt }) => timeOf(createdAt) ?? '', isWide: true },
  ],
  name: ({ subject }) => subject,
  document: bindingDocument,
};

export function bindingDocument({ subject, namespace, role, createdBy, createdAt }: Binding) {
  return { subject, namespace, role: ROLES[role], created_by: createdBy, created_at: timeOf(createdAt) };
}
