import { commonKeys, databaseKeys, key, peerKey, watchKeys } from '@longshore/kit';
import { z } from 'zod';

export const keys = {
  ...commonKeys('image'),
  ...databaseKeys(),
  ...watchKeys(),
  content: peerKey('content'),
  runtime: peerKey('runtime'),
  registryCa: key({
    env: 'LONGSHORE_REGISTRY_CA',
    schema: z.string(),
    default: '',
    unit: 'path',
    meaning: 'Certificate authorities in PEM that registries may show, beside those that are known anyway.',
  }),
};
