import { isKind, LongshoreError, unavailable } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { Digest } from '@longshore/oci';
import { type BeforeRead, findFault, type StoredBlob, sizeFault } from './blob-fault.ts';
import type { BlobReader, BlobStore } from './blob-store.ts';
import type { LedTerm } from './led-term.ts';

/** Why and since when a blob is neither read nor linked. */
export interface Quarantine {
  readonly since: Date;
  readonly reason: string;
}

/** What is known of stored bytes. A generation that a blob no longer has is left alone. */
export interface HealthRecords {
  /** Answers whether it was not quarantined before; undefined when it is not stored any more. */
  quarantine(blob: StoredBlob, reason: string, term?: LedTerm): Promise<boolean | undefined>;
  /** All bytes are right: answers whether that ends a quarantine. */
  confirm(blob: StoredBlob, term?: LedTerm): Promise<boolean>;
}

/** Counts what is looked at. */
export interface HealthMeter {
  read(lengthBytes: number): void;
  verified(): void;
  quarantined(): void;
}

const AT_ONCE: BeforeRead = async () => undefined;

/** Says whether stored bytes are right, and records what it finds. */
export class BlobHealth {
  readonly #store: BlobStore;
  readonly #records: HealthRecords;
  readonly #meter: HealthMeter;
  readonly #log: Logger;
  /** By generation. */
  readonly #checks = new Map<string, Promise<string | undefined>>();

  constructor(store: BlobStore, records: HealthRecords, meter: HealthMeter, log: Logger) {
    this.#store = store;
    this.#records = records;
    this.#meter = meter;
    this.#log = log;
  }

  /**
   * Reads a blob whole, and answers what is wrong with it. Throws Unavailable when the store, or the database, does not answer;
   * with a term, also when that is over.
   */
  async check(blob: StoredBlob, beforeRead = AT_ONCE, term?: LedTerm): Promise<string | undefined> {
    const fault = await findFault(this.#store, blob, async (lengthBytes) => {
      await beforeRead(lengthBytes);
      this.#meter.read(lengthBytes);
    });
    if (fault !== undefined) {
      await this.quarantine(blob, fault, term);
      return fault;
    }
    this.#meter.verified();
    const { digest, generation } = blob;
    if (await this.#records.confirm(blob, term))
      this.#log.info({ digest, generation }, 'blob can be read again');
    return undefined;
  }

  /** The same, at once; several who ask at the same time share one reading. */
  checkOnce(blob: StoredBlob): Promise<string | undefined> {
    const { generation } = blob;
    let check = this.#checks.get(generation);
    if (!check) {
      check = this.check(blob).finally(() => this.#checks.delete(generation));
      this.#checks.set(generation, check);
    }
    return check;
  }

  /** False for one that was removed, or stored anew, in the meantime. */
  async quarantine(blob: StoredBlob, reason: string, term?: LedTerm): Promise<boolean> {
    const isNew = await this.#records.quarantine(blob, reason, term);
    if (!isNew) return isNew === false;
    this.#meter.quarantined();
    const { digest, generation } = blob;
    this.#log.error({ digest, generation, reason }, 'blob is corrupt; quarantined until it is stored anew');
    return true;
  }

  /** Opens a blob that a scope was just seen to hold. Throws DataLoss for one whose bytes are missing, or too few or too many. */
  async open(blob: StoredBlob): Promise<BlobReader> {
    const reader = await this.#store.open(blob).catch((error) => {
      if (isKind(error, 'NotFound')) return undefined;
      throw error;
    });
    const fault = reader ? sizeFault(blob, reader) : 'bytes are missing';
    if (reader && fault === undefined) return reader;
    await reader?.close();
    throw await this.failure(blob, fault ?? '');
  }

  /** Quarantines a blob that turned out wrong as it was read; gives the error of the read. */
  async failure(blob: StoredBlob, fault: string): Promise<LongshoreError> {
    const { digest } = blob;
    if (await this.quarantine(blob, fault)) return dataLoss(digest, fault);
    return unavailable(`content ${digest} was removed, or stored anew, as it was read`);
  }
}

/** What whoever reads a quarantined blob is told. */
export function dataLoss(digest: Digest, fault: string): LongshoreError {
  return new LongshoreError('DataLoss', `content ${digest}: ${fault}: data loss`);
}
