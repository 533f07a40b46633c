import { makeBusyboxImage, pushImage, type Registry } from '@longshore/local';

/** References of the images that the tests use, in a registry on loopback. */
export interface TestImages {
  /** One layer: busybox. */
  busybox: string;
  /** Four layers; the upper ones change, hide and add files. */
  layered: string;
  /** An index of three platforms, this machine's among them. */
  index: string;
}

const PLATFORMS = [
  { os: 'linux', architecture: 'amd64' },
  { os: 'linux', architecture: 'arm64' },
  { os: 'linux', architecture: 's390x' },
];

const UPPER_LAYERS = [
  [
    { path: 'data/', type: 'directory' },
    { path: 'data/kept', type: 'file', content: 'kept\n' },
    { path: 'data/hidden', type: 'file', content: 'hidden\n' },
    { path: 'opaque/', type: 'directory' },
    { path: 'opaque/below', type: 'file', content: 'below\n' },
  ],
  [
    { path: 'data/.wh.hidden', type: 'file', content: '' },
    { path: 'opaque/', type: 'directory' },
    { path: 'opaque/.wh..wh..opq', type: 'file', content: '' },
    { path: 'opaque/above', type: 'file', content: 'above\n' },
  ],
  [{ path: 'data/kept', type: 'file', content: 'changed\n' }],
] as const;

export async function pushTestImages(registry: Registry): Promise<TestImages> {
  const push = async (name: string, image: Awaited<ReturnType<typeof makeBusyboxImage>>) => {
    await pushImage(registry.host, `test/${name}`, '1', image);
    return `${registry.host}/test/${name}:1`;
  };
  return {
    busybox: await push('busybox', await makeBusyboxImage()),
    layered: await push('layered', await makeBusyboxImage({ layers: UPPER_LAYERS })),
    index: await push('index', await makeBusyboxImage({ platforms: PLATFORMS, format: 'docker' })),
  };
}
