import { invalidArgument } from '@longshore/errors';

export type Labels = Record<string, string>;

/** Of key and value together. */
const MAX_SIZE_BYTES = 4096;
/** A key longer than this is cut in the message. */
const MAX_SHOWN_KEY_LENGTH = 64;

/** Throws InvalidArgument in containerd's words. Source: containerd pkg/labels/validate.go. */
export function validateLabel(key: string, value: string): void {
  const sizeBytes = Buffer.byteLength(key) + Buffer.byteLength(value);
  if (sizeBytes <= MAX_SIZE_BYTES) return;
  throw invalidArgument(
    `label key and value length (${sizeBytes} bytes) greater than maximum size (${MAX_SIZE_BYTES} bytes), ` +
      `key: ${key.slice(0, MAX_SHOWN_KEY_LENGTH)}`,
  );
}

export function validateLabels(labels: Readonly<Labels>): void {
  for (const [key, value] of Object.entries(labels)) validateLabel(key, value);
}

/** Labels as they are kept: setting one to the empty string deletes it. */
export function withoutEmptyLabels(labels: Readonly<Labels>): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''));
}
