import type { Platform } from '@longshore/oci';
import type { ContentStore } from '../content/content-store.ts';
import type { Services } from '../services.ts';
import type { Registries } from './registries.ts';

/** What work on images is done with. */
export interface ImageParts {
  services: Services;
  content: ContentStore;
  registries: Registries;
  /** Of what the server runs. */
  platform(): Promise<Platform>;
}
