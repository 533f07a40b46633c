import { type Descriptor, isLayerType, MediaType } from '@longshore/oci';

const KINDS: Readonly<Record<string, string>> = {
  [MediaType.OciIndex]: 'index',
  [MediaType.DockerIndex]: 'index',
  [MediaType.OciManifest]: 'manifest',
  [MediaType.DockerManifest]: 'manifest',
  [MediaType.OciConfig]: 'config',
  [MediaType.DockerConfig]: 'config',
  'application/vnd.in-toto+json': 'attestation',
};

/** The name of a blob's ingest, which progress displays match. Source: containerd core/remotes/handlers.go. */
export function refKey({ mediaType, digest }: Descriptor): string {
  const kind = KINDS[mediaType] ?? (isLayerType(mediaType) ? 'layer' : 'unknown');
  return `${kind}-${digest}`;
}
