/** Members of archives of images. Source: OCI image-spec image-layout.md, moby image/spec/v1.2.md. */
export const Member = {
  Layout: 'oci-layout',
  Index: 'index.json',
  DockerManifest: 'manifest.json',
} as const;

/** Annotations of the manifests in an index.json. Source: containerd core/images/annotations.go, OCI image-spec annotations.md. */
export const Annotation = {
  /** The full name. */
  ImageName: 'io.containerd.image.name',
  /** A tag, or a name. */
  RefName: 'org.opencontainers.image.ref.name',
} as const;

export const LAYOUT_VERSION = '1.0.0';
