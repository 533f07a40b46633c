const MIB = 1024 * 1024;

/** What S3 wants of a part that others follow. Source: Amazon S3, "Multipart upload limits". */
export const MIN_PART_BYTES = 5 * MIB;
/** S3's bound. Source: as above. */
export const MAX_PARTS = 10_000;

/** How large the parts up to a number are. Small ones are sent side by side, large ones hold the largest blobs. */
const STEPS = [
  { upTo: 2_000, sizeBytes: 8 * MIB },
  { upTo: 5_000, sizeBytes: 12 * MIB },
  { upTo: MAX_PARTS, sizeBytes: 20 * MIB },
] as const;

/** What one writer may hold in memory: three of the first parts, and less than 32 MB. */
export const WRITER_BUDGET_BYTES = 24 * MIB;

/** Of the part with this index, from zero on; undefined when there can be no more. */
export function partSizeBytes(index: number): number | undefined {
  return STEPS.find(({ upTo }) => index < upTo)?.sizeBytes;
}

/** The largest blob: 148 GiB. */
export const MAX_BLOB_BYTES = STEPS.reduce(
  (sum, { upTo, sizeBytes }, at) => sum + (upTo - (STEPS[at - 1]?.upTo ?? 0)) * sizeBytes,
  0,
);
