import { commonKeys, databaseKeys, peerKey } from '@longshore/kit';

export const keys = { ...commonKeys('snapshot'), ...databaseKeys(), content: peerKey('content') };
