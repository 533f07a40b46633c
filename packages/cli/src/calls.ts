import type { Connection, ScopeOptions } from '@longshore/client';

/** What most commands need of the library: typed calls in a scope. A whole client has it too. */
export interface Calls extends Pick<Connection, 'service' | 'isLocal' | 'namespace' | 'node'> {
  /** The same connection in another scope. */
  in(scope: ScopeOptions): Calls;
}
