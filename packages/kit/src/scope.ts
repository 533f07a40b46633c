import { FLEET } from '@longshore/proto/headers';

/** Where a record lives: the same name in two scopes means two records. */
export interface Scope {
  readonly namespace: string;
  /** A node's id, or {@link FLEET} for the fleet's own catalogue. */
  readonly node: string;
}

export function isFleet(scope: Scope): boolean {
  return scope.node === FLEET;
}
