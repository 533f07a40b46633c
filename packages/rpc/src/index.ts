export { Channel, type ChannelOptions, type OnCall } from './channel.ts';
export { type CollectingCall, Collector } from './collector.ts';
export {
  type CallOptions,
  createClient,
  type PrepareCall,
  type ServiceClient,
  wasNeverSent,
} from './create-client.ts';
export {
  type FollowedRevocations,
  followRevocations,
  type RevocationConfig,
} from './follow-revocations.ts';
export { type CallLease, type LeasedCall, leaseOf } from './lease.ts';
export type { Warnings } from './warnings.ts';
export { watchRevocations } from './watch-revocations.ts';
