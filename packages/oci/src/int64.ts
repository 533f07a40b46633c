/** A 64-bit integer of a JSON document: a bigint where a number would not be exact. */
export type Int64 = number | bigint;
