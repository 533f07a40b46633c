import type { BlobStore } from '../domain/blob-store.ts';
import type { CollectionScheduler } from '../domain/collection-scheduler.ts';
import type { IngestWriters } from '../domain/ingest-writers.ts';
import type { ContentRepository } from '../storage/postgres/content-repository.ts';
import type { IngestRepository } from '../storage/postgres/ingest-repository.ts';

/** What the content API is made of. */
export interface ContentParts {
  contents: ContentRepository;
  ingests: IngestRepository;
  writers: IngestWriters;
  store: BlobStore;
  scheduler: CollectionScheduler;
  /** Told when bytes may have become needless. */
  remover: { wake(): void };
}
