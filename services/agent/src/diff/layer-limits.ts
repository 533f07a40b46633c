/** How much one layer may ask of a node. What exceeds one of these is ResourceExhausted. */
export interface LayerLimits {
  /** Entries of the archive, headers of long names and the like not counted, and missing parents created for them. */
  maxEntries: number;
  /** How many of these may be directories. */
  maxDirectories: number;
  /** Of the uncompressed archive, and of the files in it, holes counted. */
  maxBytes: number;
  /** Uncompressed bytes for each compressed one … */
  maxRatio: number;
  /** … once this many uncompressed bytes were seen. */
  ratioFreeBytes: number;
}

export const DEFAULT_LAYER_LIMITS: LayerLimits = {
  // Five times the largest layers that are published (language and model toolchains have some 200,000 files), of
  // which a tenth are directories. Of each entry some 100 bytes are remembered while unpacking, of a directory 600:
  // together less than the heap of a thread.
  maxEntries: 1_000_000,
  maxDirectories: 200_000,
  // Model and game images have layers of tens of GiB; none should fill a disk array.
  maxBytes: 512 * 2 ** 30,
  // File systems have long runs of zeros: honest layers reach some 100 to 1, and deflate cannot exceed 1032 to 1, so
  // what is above is made of zeros only, or a bomb for zstd …
  maxRatio: 1100,
  // … and a disk image or a database may well preallocate this much of zeros.
  ratioFreeBytes: 8 * 2 ** 30,
};
