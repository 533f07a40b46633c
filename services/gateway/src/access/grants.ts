import type { Caller } from './caller.ts';
import { type Role, type RoleBinding, roleAllows, WHOLE_FLEET } from './role.ts';
import type { Need } from './rule.ts';

/** All bindings, found by their subjects. */
export class Grants {
  /** Roles by subject, then by namespace. */
  readonly #roles = new Map<string, Map<string, Set<Role>>>();

  constructor(bindings: Iterable<RoleBinding>) {
    for (const { subject, namespace, role } of bindings) {
      const byNamespace = this.#roles.get(subject) ?? new Map<string, Set<Role>>();
      const roles = byNamespace.get(namespace) ?? new Set<Role>();
      this.#roles.set(subject, byNamespace.set(namespace, roles.add(role)));
    }
  }

  /** Whether a caller may do this in a namespace; in {@link WHOLE_FLEET}, what is no namespace's. */
  allows(caller: Caller, need: Need, namespace: string): boolean {
    return this.#some(caller, namespace, (role) => roleAllows(role, need));
  }

  /** Whether there is a namespace, or the whole fleet, in which a caller may do this. */
  allowsSomewhere(caller: Caller, need: Need): boolean {
    return this.of(caller).some(({ role }) => roleAllows(role, need));
  }

  /** Whether a caller may make containers there that give it the host. */
  allowsHost(caller: Caller, namespace: string): boolean {
    return this.#some(caller, namespace, (role) => role === 'host');
  }

  /** Those of a caller and of its groups. */
  of(caller: Caller): RoleBinding[] {
    return subjectsOf(caller).flatMap((subject) =>
      [...(this.#roles.get(subject) ?? [])].flatMap(([namespace, roles]) =>
        [...roles].map((role) => ({ subject, namespace, role })),
      ),
    );
  }

  #some(caller: Caller, namespace: string, fits: (role: Role) => boolean): boolean {
    for (const subject of subjectsOf(caller)) {
      const byNamespace = this.#roles.get(subject);
      if (byNamespace === undefined) continue;
      for (const place of [namespace, WHOLE_FLEET]) {
        for (const role of byNamespace.get(place) ?? []) if (fits(role)) return true;
      }
    }
    return false;
  }
}

function subjectsOf({ name, groups }: Caller): string[] {
  return [name, ...groups.map((group) => `group/${group}`)];
}
