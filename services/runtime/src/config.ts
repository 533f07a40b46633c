import { commonKeys, databaseKeys, peerKey } from '@longshore/kit';

export const keys = { ...commonKeys('runtime'), ...databaseKeys(), content: peerKey('content') };
