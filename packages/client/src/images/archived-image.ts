import { type Descriptor, formatReference, parseReference } from '@longshore/oci';
import { expandShortName } from '@longshore/registry';

/** An image of an archive, and what it is called there. */
export interface ArchivedImage {
  target: Descriptor;
  /** In full. */
  names: readonly string[];
}

/** A name as archives have it, in full. Throws InvalidArgument for what is none. */
export function nameInFull(name: string): string {
  return formatReference(parseReference(expandShortName(name)));
}
