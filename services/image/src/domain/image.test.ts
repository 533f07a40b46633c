import { describe, expect, it } from 'vitest';
import { expiryOf, type Image, updateImage, validateImage } from './image.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const target = {
  mediaType: 'application/vnd.oci.image.index.v1+json',
  digest: DIGEST,
  size: 7n,
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
  it.each([
    [{ name: '' }, 'image name must not be empty'],
    [{ target: { ...target, digest: 'sha256:zz' } }, 'Target.Digest "sha256:zz" invalid'],
    [{ target: { ...target, size: 0n } }, 'Target.Size must be greater than zero'],
    [{ target: { ...target, mediaType: '' } }, 'Target.MediaType must be set'],
    [{ target: undefined }, 'Target.Digest "" invalid'],
  ])('refuses %j', (change, message) => {
    expect(() => validateImage({ ...stored, ...change })).toThrow(message);
  });

  it('takes any name, and drops labels that are empty', () => {
    expect(validateImage({ name: 'not a reference', labels: { a: '', b: '2' }, target })).toMatchObject({
      name: 'not a reference',
      labels: { b: '2' },
    });
  });
});

describe('updateImage', () => {
  const requested = {
    name: 'redis:7',
    labels: { a: '9' },
    target: { ...target, size: 8n, annotations: { y: '2' } },
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

  it('refuses other fields', () => {
    expect(() => updateImage(stored, requested, ['name'])).toThrow(
      'cannot update "name" field on image "redis:7"',
    );
  });
});

describe('expiryOf', () => {
  it('reads RFC 3339, and takes a bad date for none', () => {
    expect(expiryOf({ 'containerd.io/gc.expire': '2026-01-02T03:04:05Z' })).toEqual(
      new Date('2026-01-02T03:04:05Z'),
    );
    expect(expiryOf({ 'containerd.io/gc.expire': 'soon' })).toBeUndefined();
    expect(expiryOf({})).toBeUndefined();
  });
});
