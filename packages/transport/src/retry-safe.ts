/** Names of unary methods that change nothing, in every service of containerd's API and ours that has them. */
const READS: ReadonlySet<string> = new Set([
  'Check',
  'Find',
  'Get',
  'Info',
  'List',
  'ListJoinTokens',
  'ListPids',
  'ListResources',
  'ListStatuses',
  'ListTombstones',
  'Locate',
  'Metrics',
  'Mounts',
  'Plugins',
  'Server',
  'Stat',
  'Status',
  'Usage',
  'Version',
]);

/** Whether a unary call, e.g. `/containerd.services.images.v1.Images/Get`, may be made twice: it changes nothing. */
export function isRetrySafe(path: string): boolean {
  return READS.has(path.slice(path.lastIndexOf('/') + 1));
}
