import type { Index, Labels, Manifest, Reference } from '@longshore/oci';

const CHILD = 'containerd.io/gc.ref.content';

/** Which blobs a manifest keeps. Source: containerd core/images/mediatypes.go, ChildGCLabels. */
export function manifestLabels({ config, layers }: Manifest): Labels {
  const labels: Labels = { [`${CHILD}.config`]: config.digest };
  layers.forEach(({ digest }, n) => {
    labels[`${CHILD}.l.${n}`] = digest;
  });
  return labels;
}

/** Which manifests an index keeps; that of some other platform need not be there. */
export function indexLabels({ manifests }: Index): Labels {
  return Object.fromEntries(manifests.map(({ digest }, n) => [`${CHILD}.m.${n}`, digest]));
}

/** Where a blob came from. Source: containerd core/remotes/docker/handler.go. */
export function sourceLabels({ host, repository }: Pick<Reference, 'host' | 'repository'>): Labels {
  const name = host.startsWith('[') ? host.slice(1, host.indexOf(']')) : host.split(':')[0]!;
  return { [`containerd.io/distribution.source.${name}`]: repository };
}
