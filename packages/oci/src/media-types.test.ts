import { expect, it } from 'vitest';
import { isLayerType, MediaType } from './media-types.ts';

it.each([
  [MediaType.OciLayerZstd, true],
  [MediaType.DockerLayerGzip, true],
  [`${MediaType.OciLayerGzip}+encrypted`, true],
  [`${MediaType.DockerLayerGzip}+encrypted`, true],
  [MediaType.OciManifest, false],
  ['application/vnd.in-toto+json', false],
])('tells of %s whether it is a layer', (mediaType, expected) => {
  expect(isLayerType(mediaType)).toBe(expected);
});
