export { Channel, type ChannelTls } from './channel.ts';
export { type CallOptions, createClient, type ServiceClient } from './create-client.ts';
