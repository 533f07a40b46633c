import type { Descriptor } from './descriptor.ts';
import type { Digest } from './digest.ts';
import type { Platform } from './platform.ts';

/** Source: OCI image-spec manifest.md. */
export interface Manifest {
  schemaVersion: 2;
  mediaType?: string;
  artifactType?: string;
  config: Descriptor;
  layers: Descriptor[];
  subject?: Descriptor;
  annotations?: Record<string, string>;
}

/** Source: OCI image-spec image-index.md. */
export interface Index {
  schemaVersion: 2;
  mediaType?: string;
  artifactType?: string;
  manifests: Descriptor[];
  subject?: Descriptor;
  annotations?: Record<string, string>;
}

/** The config blob of an image. Source: OCI image-spec config.md. */
export interface ImageConfig extends Platform {
  created?: string;
  author?: string;
  config?: {
    User?: string;
    Env?: string[];
    Entrypoint?: string[];
    Cmd?: string[];
    WorkingDir?: string;
    Labels?: Record<string, string>;
    StopSignal?: string;
    ExposedPorts?: Record<string, object>;
    Volumes?: Record<string, object>;
  };
  rootfs: {
    type: 'layers';
    /** Digests of the uncompressed layers, lowest first. */
    diff_ids: Digest[];
  };
  history?: { created?: string; created_by?: string; comment?: string; empty_layer?: boolean }[];
}
