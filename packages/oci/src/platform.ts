import { arch, platform as hostOs } from 'node:process';
import { invalidArgument } from '@longshore/errors';

/** Field names are those of the JSON documents. Source: OCI image-spec image-index.md. */
export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
  'os.version'?: string;
  'os.features'?: string[];
}

const COMPONENT = /^[A-Za-z0-9_.-]+$/;

/** Names that a specifier of one word may use for an operating system; anything else is an architecture. */
const KNOWN_OS: ReadonlySet<string> = new Set(
  'aix android darwin dragonfly freebsd illumos ios js linux netbsd openbsd plan9 solaris windows'.split(' '),
);
const KNOWN_ARCHITECTURES: ReadonlySet<string> = new Set(
  ('386 amd64 arm arm64 loong64 mips mipsle mips64 mips64le ppc64 ppc64le ' + 'riscv64 s390x wasm').split(
    ' ',
  ),
);

/** Other names of architectures, some of which tell the variant too. */
const ARCHITECTURE_ALIASES: Readonly<Record<string, { architecture: string; variant?: string }>> = {
  i386: { architecture: '386', variant: '' },
  x86_64: { architecture: 'amd64' },
  'x86-64': { architecture: 'amd64' },
  aarch64: { architecture: 'arm64' },
  armhf: { architecture: 'arm', variant: 'v7' },
  armel: { architecture: 'arm', variant: 'v6' },
};

/** Node's names of architectures where they differ from the image specification's. */
const NODE_ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/** Parses `<os>|<arch>|<os>/<arch>[/<variant>]`; what is left out is the host's. Throws InvalidArgument. */
export function parsePlatform(specifier: string): Platform {
  const parts = specifier.split('/');
  const bad = parts.find((part) => !COMPONENT.test(part));
  if (bad !== undefined) {
    throw invalidArgument(
      `"${bad}" is an invalid component of "${specifier}": platform specifier component must match ${COMPONENT.source}`,
    );
  }
  const [first = '', architecture, variant] = parts;
  if (parts.length > 3) throw invalidArgument(`"${specifier}": cannot parse platform specifier`);
  if (architecture !== undefined) {
    return normalizePlatform({ os: first, architecture, ...(variant !== undefined && { variant }) });
  }
  return parseSingle(first);
}

/** Source: containerd/platforms platforms.go, database.go. */
export function normalizePlatform(platform: Platform): Platform {
  const { variant: _, ...rest } = platform;
  const os = normalizeOs(platform.os);
  const { architecture, variant } = normalizeArchitecture(platform.architecture, platform.variant ?? '');
  return { ...rest, os, architecture, ...(variant && { variant }) };
}

/** `linux/arm/v7`; `unknown` when there is no operating system. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  if (!os) return 'unknown';
  return [os, architecture, variant].filter(Boolean).join('/');
}

/** Whether both mean the same platform; versions and features of the operating system are not compared. */
export function platformsEqual(a: Platform, b: Platform): boolean {
  return formatPlatform(normalizePlatform(a)) === formatPlatform(normalizePlatform(b));
}

export function hostPlatform(): Platform {
  return { ...platformOfNode(arch), os: hostOs };
}

/** Of a Linux host by the architecture that it reports, in Node.js's words. */
export function platformOfNode(architecture: string): Platform {
  return normalizePlatform({ os: 'linux', architecture: NODE_ARCHITECTURES[architecture] ?? architecture });
}

function parseSingle(word: string): Platform {
  const os = normalizeOs(word);
  if (KNOWN_OS.has(os)) return { ...hostPlatform(), os };
  const { architecture, variant } = normalizeArchitecture(word, '');
  if (!KNOWN_ARCHITECTURES.has(architecture)) {
    throw invalidArgument(`"${word}": unknown operating system or architecture`);
  }
  return normalizePlatform({ os: hostOs, architecture, variant });
}

function normalizeOs(os: string): string {
  const name = os.toLowerCase();
  if (name === '') return hostOs;
  return name === 'macos' ? 'darwin' : name;
}

function normalizeArchitecture(name: string, variantName: string): { architecture: string; variant: string } {
  const alias = ARCHITECTURE_ALIASES[name.toLowerCase()];
  const architecture = alias?.architecture ?? name.toLowerCase();
  const variant = alias?.variant ?? variantName.toLowerCase();
  return { architecture, variant: normalizeVariant(architecture, variant) };
}

/** The default variant of an architecture is left out, but for 32-bit arm, whose default is v7. */
function normalizeVariant(architecture: string, variant: string): string {
  const numbered = /^[5-8]$/.test(variant) ? `v${variant}` : variant;
  switch (architecture) {
    case 'amd64':
      return variant === 'v1' ? '' : variant;
    case 'arm64':
      return numbered === 'v8' ? '' : variant;
    case 'arm':
      return numbered || 'v7';
    default:
      return variant;
  }
}
