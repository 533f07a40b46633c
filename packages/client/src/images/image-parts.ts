import type { Platform } from '@longshore/oci';
import type { ContentStore } from '../content/content-store.ts';
import type { Services } from '../services.ts';

/** What work on images is done with. */
export interface ImageParts {
  services: Services;
  content: ContentStore;
  /** Of what the server runs. */
  platform(): Promise<Platform>;
}
