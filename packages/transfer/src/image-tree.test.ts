import { type Descriptor, digestOf, type Index, MediaType } from '@longshore/oci';
import { describe, expect, it } from 'vitest';
import { readTree } from './image-tree.ts';

/** Documents by their digest, and how often each was read. */
class Documents {
  readonly reads: string[] = [];
  readonly #bytes = new Map<string, Buffer>();

  index(...manifests: Descriptor[]): Descriptor {
    const document: Index = { schemaVersion: 2, manifests };
    return this.#add(MediaType.OciIndex, document);
  }

  manifest(name: string): Descriptor {
    const config = { mediaType: MediaType.OciConfig, digest: digestOf(name), size: 1 };
    return this.#add(MediaType.OciManifest, { schemaVersion: 2, config, layers: [] });
  }

  tree(target: Descriptor) {
    return readTree('image', target, this.#bytes.get(target.digest)!, [], async ({ digest }) => {
      this.reads.push(digest);
      return this.#bytes.get(digest)!;
    });
  }

  #add(mediaType: string, document: object): Descriptor {
    const bytes = Buffer.from(JSON.stringify(document));
    const digest = digestOf(bytes);
    this.#bytes.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }
}

describe('readTree', () => {
  it('reads what many indexes name once', async () => {
    const documents = new Documents();
    let bottom = documents.manifest('lowest');
    // Read as often as it is named, it would be read 50 ** 6 times.
    for (let level = 0; level < 6; level++) bottom = documents.index(...Array<Descriptor>(50).fill(bottom));
    const { images } = await documents.tree(bottom);
    expect(images).toHaveLength(1);
    expect(documents.reads).toHaveLength(6);
  });

  it('refuses an index of more manifests than we hold', async () => {
    const documents = new Documents();
    const half = (name: string) =>
      documents.index(...Array.from({ length: 600 }, (_, n) => documents.manifest(`${name}${n}`)));
    await expect(documents.tree(documents.index(half('a'), half('b')))).rejects.toMatchObject({
      kind: 'InvalidArgument',
    });
  });
});
