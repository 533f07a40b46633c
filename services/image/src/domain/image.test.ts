import { describe, expect, it } from 'vitest';
import { dropsReference, type Image, updateImage, validateImage } from './image.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const target = {
  mediaType: 'application/vnd.oci.image.index.v1+json',
  digest: DIGEST,
  sizeBytes: 7n,
  annotations: { x: '1' },
};
const stored: Image = {
  uid: 'u',
  scope: { namespace: 'default', node: 'n1' },
  revision: 1n,
  createdAt: new Date(0),
  updatedAt: new Date(0),
  name: 'redis:7',
  labels: { a: '1', b: '2' },
  target,
};

describe('validateImage', () => {
  const WRONG: [string, Partial<Image>][] = [
    ['image name must not be empty: invalid argument', { name: '' }],
    ['image.Labels: label key and value length (4097 bytes)', { labels: { k: 'v'.repeat(4096) } }],
    [
      'Target.Digest "sha256:zz" invalid: digest "sha256:zz": invalid checksum digest length: invalid argument',
      { target: { ...target, digest: 'sha256:zz' } },
    ],
    [
      'Target.Digest "" invalid: digest "": invalid checksum digest format: invalid argument',
      { target: { ...target, digest: '' } },
    ],
    ['Target.Size must be greater than zero: invalid argument', { target: { ...target, sizeBytes: 0n } }],
    ['Target.MediaType must be set: invalid argument', { target: { ...target, mediaType: '' } }],
  ];
  it.each(WRONG)('says %s', (message, change) => {
    expect(() => validateImage({ ...stored, ...change })).toThrow(message);
  });

  it('takes any name, and drops labels and annotations that are empty', () => {
    const named = { name: 'not a reference', labels: { a: '', b: '2' } };
    const annotated = { ...target, annotations: { x: '', y: '2' } };
    expect(validateImage({ ...named, target: annotated })).toEqual({
      name: 'not a reference',
      labels: { b: '2' },
      target: { ...target, annotations: { y: '2' } },
    });
  });
});

describe('updateImage', () => {
  const requested = {
    name: 'redis:7',
    labels: { a: '9' },
    target: { ...target, sizeBytes: 8n, annotations: { y: '2' } },
  };

  it('replaces the whole record without a mask', () => {
    expect(updateImage(stored, requested, [])).toMatchObject({
      labels: { a: '9' },
      target: requested.target,
    });
  });

  it('changes only what the mask names', () => {
    expect(updateImage(stored, requested, ['labels.a'])).toMatchObject({
      labels: { a: '9', b: '2' },
      target,
    });
    expect(updateImage(stored, requested, ['annotations']).target).toEqual({
      ...target,
      annotations: { y: '2' },
    });
    expect(updateImage(stored, requested, ['annotations.x']).target).toEqual({ ...target, annotations: {} });
    expect(updateImage(stored, requested, ['target'])).toMatchObject({
      labels: stored.labels,
      target: requested.target,
    });
  });

  it('applies the paths in their order', () => {
    expect(updateImage(stored, requested, ['annotations.x', 'target']).target).toEqual(requested.target);
    const both = updateImage(stored, { ...requested, labels: { c: '3' } }, ['labels', 'labels.c']);
    expect(both.labels).toEqual({ c: '3' });
  });

  it('keeps what the server has set', () => {
    const { uid, scope, revision, createdAt } = updateImage(stored, { ...requested, name: 'x' }, []);
    expect({ uid, scope, revision, createdAt }).toEqual({
      uid: 'u',
      scope: stored.scope,
      revision: 1n,
      createdAt: stored.createdAt,
    });
  });

  it('checks the outcome', () => {
    const empty = { ...requested, target: { ...target, digest: '' } };
    expect(() => updateImage(stored, empty, ['target'])).toThrow('Target.Digest "" invalid');
    expect(updateImage(stored, empty, ['labels']).target).toEqual(target);
  });

  it('refuses other fields', () => {
    expect(() => updateImage(stored, requested, ['name'])).toThrow(
      'cannot update "name" field on image "redis:7"',
    );
  });
});

describe('dropsReference', () => {
  const change = (changed: Partial<Image>) => dropsReference(stored, { ...stored, ...changed });

  it('holds for another target and for a label of the collector that goes, and for nothing else', () => {
    expect(change({ target: { ...target, digest: `sha256:${'b'.repeat(64)}` } })).toBe(true);
    expect(change({ target: { ...target, annotations: {} } })).toBe(false);
    expect(change({ labels: {} })).toBe(false);
    const label = 'containerd.io/gc.ref.content.x';
    expect(dropsReference({ ...stored, labels: { [label]: 'a' } }, stored)).toBe(true);
    expect(dropsReference(stored, { ...stored, labels: { [label]: 'a' } })).toBe(false);
  });
});
