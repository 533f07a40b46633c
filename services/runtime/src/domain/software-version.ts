/** Says so when a node's software is newer than the control plane's; empty when all is well, or nobody can say. */
export function versionNotice(nodeVersion: string, controlPlaneVersion: string): string {
  if (compareVersions(nodeVersion, controlPlaneVersion) <= 0) return '';
  return `software ${nodeVersion} is newer than the control plane's ${controlPlaneVersion}: upgrade the control plane`;
}

/**
 * Precedence of semantic versions: negative, zero or positive. What is no version is equal to everything. Build
 * metadata does not count. Source: semver.org, 11.
 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parse(a), parse(b)];
  if (!left || !right) return 0;
  const core = compareLists(left.core, right.core);
  if (core !== 0) return core;
  if (left.pre.length === 0 || right.pre.length === 0) return right.pre.length - left.pre.length;
  return compareLists(left.pre, right.pre);
}

function parse(text: string): { core: string[]; pre: string[] } | undefined {
  const match = /^v?(\d+\.\d+\.\d+)(?:-([0-9A-Za-z.-]+))?(?:\+.*)?$/.exec(text);
  return match ? { core: match[1]!.split('.'), pre: match[2]?.split('.') ?? [] } : undefined;
}

/** The first difference decides; of equal beginnings the longer one is later. */
function compareLists(a: string[], b: string[]): number {
  for (const [index, part] of a.entries()) {
    const other = b[index];
    if (other === undefined) return 1;
    const order = comparePart(part, other);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Numbers by value and before words; words by bytes. */
function comparePart(a: string, b: string): number {
  const [isNumber, isOtherNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (isNumber && isOtherNumber) return Number(a) - Number(b);
  if (isNumber !== isOtherNumber) return isNumber ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1;
}
