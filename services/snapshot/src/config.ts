import { commonKeys, databaseKeys, peerKey, watchKeys } from '@longshore/kit';

export const keys = {
  ...commonKeys('snapshot'),
  ...databaseKeys(),
  ...watchKeys(),
  content: peerKey('content'),
  runtime: peerKey('runtime'),
};
