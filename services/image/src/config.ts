import { AnyText, commonKeys, databaseKeys, key, peerKey, watchKeys } from '@longshore/kit';

export const keys = {
  ...commonKeys('image'),
  ...databaseKeys(),
  ...watchKeys(),
  content: peerKey('content'),
  runtime: peerKey('runtime'),
  registryCa: key({
    env: 'LONGSHORE_REGISTRY_CA',
    schema: AnyText,
    default: '',
    unit: 'path',
    meaning: 'Certificate authorities in PEM that registries may show, beside those that are known anyway.',
  }),
};
