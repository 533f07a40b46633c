import { commonKeys, databaseKeys, peerKey } from '@longshore/kit';

export const keys = { ...commonKeys('image'), ...databaseKeys(), content: peerKey('content') };
