export type { CallOptions } from './call.ts';
export { type ClientOptions, createTtrpcClient, type TtrpcClient } from './client.ts';
export { type DialOptions, dialTtrpc, TtrpcConnection } from './client-connection.ts';
export { MAX_DATA_BYTES } from './frame.ts';
export { TtrpcClosedError } from './framed-socket.ts';
export type { Metadata, MetadataInit } from './metadata.ts';
export { createTtrpcServer, type ServerOptions, TtrpcServer } from './server.ts';
export type { HandlerContext, ServiceImpl } from './service.ts';
