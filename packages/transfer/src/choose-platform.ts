import { type Descriptor, formatPlatform, normalizePlatform, type Platform } from '@longshore/oci';

/** Best first: what runs where another variant was wanted. Source: containerd/platforms compare.go. */
const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  amd64: ['v4', 'v3', 'v2', ''],
  // arm64 v8 is the default, which is left out.
  arm64: ['v9', ''],
  arm: ['v8', 'v7', 'v6', 'v5'],
};

/** The manifest of an index that suits a platform best; `undefined` when none does. */
export function chooseManifest(manifests: readonly Descriptor[], wanted: Platform): Descriptor | undefined {
  const { os, architecture, variant = '' } = normalizePlatform(wanted);
  const order = VARIANTS[architecture] ?? [];
  const first = order.indexOf(variant);
  const suitable = first < 0 ? [variant] : order.slice(first);
  for (const candidate of suitable) {
    const name = formatPlatform({ os, architecture, variant: candidate });
    const found = manifests.find(({ platform }) => platform && nameOf(platform) === name);
    if (found) return found;
  }
  return undefined;
}

/** What comes out of somebody else's document may lack anything. */
function nameOf(platform: Partial<Platform>): string {
  const { os, architecture, variant } = platform;
  if (typeof os !== 'string' || typeof architecture !== 'string') return '';
  return formatPlatform(
    normalizePlatform({ os, architecture, ...(typeof variant === 'string' && { variant }) }),
  );
}
