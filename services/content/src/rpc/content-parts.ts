import type { BlobHealth } from '../domain/blob-health.ts';
import type { BlobStore } from '../domain/blob-store.ts';
import type { CollectionScheduler } from '../domain/collection-scheduler.ts';
import type { IngestWriters } from '../domain/ingest-writers.ts';
import type { VerifiedReads } from '../domain/verified-reads.ts';
import type { ContentRepository } from '../storage/postgres/content-repository.ts';
import type { IngestRepository } from '../storage/postgres/ingest-repository.ts';
import type { QuotaRepository } from '../storage/postgres/quota-repository.ts';

/** What the content API is made of. */
export interface ContentParts {
  contents: ContentRepository;
  ingests: IngestRepository;
  writers: IngestWriters;
  store: BlobStore;
  health: BlobHealth;
  reads: VerifiedReads;
  quotas: QuotaRepository;
  scheduler: CollectionScheduler;
  /** Told when bytes may have become needless. */
  remover: { wake(): void };
}
