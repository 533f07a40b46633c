import { type Digest, digestOf } from '@longshore/oci';
import type { Random } from './random.ts';

const MAX_BYTES = 20_000;
const MAX_CHILDREN = 3;

/** Content that clients write; whoever commits it first gives it these labels. */
export interface TestBlob {
  readonly name: string;
  readonly data: Buffer;
  readonly digest: Digest;
  readonly labels: Record<string, string>;
  readonly children: readonly TestBlob[];
}

/** Each refers to some of those before it, and of the given ones; answers the new ones. */
export function makeBlobs(
  random: Random,
  names: readonly string[],
  others: readonly TestBlob[] = [],
): TestBlob[] {
  const blobs = [...others];
  for (const name of names) {
    const children = new Set<TestBlob>();
    for (let n = random.whole(MAX_CHILDREN + 1); n > 0 && blobs.length > 0; n--) {
      children.add(random.pick(blobs)!);
    }
    const data = Buffer.from(`${name} ${random.next()} ${'x'.repeat(random.whole(MAX_BYTES))}`);
    const labels = [...children].map(({ digest }, n) => [`containerd.io/gc.ref.content.${n}`, digest]);
    blobs.push({
      name,
      data,
      digest: digestOf(data),
      labels: Object.fromEntries(labels),
      children: [...children],
    });
  }
  return blobs.slice(others.length);
}
