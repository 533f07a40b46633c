export { Client } from './client.ts';
export { Connection } from './connection/connection.ts';
export type { ClientTls, ConnectionOptions, ScopeOptions, Token } from './connection/options.ts';
