import { commonKeys, databaseKeys } from '@longshore/kit';

export const keys = { ...commonKeys('runtime'), ...databaseKeys() };
