import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '@longshore/linux';
import { Bundle, type BundleDirectories, bundlesDirectory } from './bundle.ts';

/** The bundles that are there, of all namespaces. Names with a dot are what is being removed. */
export function listBundles(directories: BundleDirectories): Bundle[] {
  const root = bundlesDirectory(directories);
  return namesIn(root).flatMap((namespace) =>
    namesIn(join(root, namespace))
      .filter((id) => !id.startsWith('.'))
      .map((id) => new Bundle(directories, namespace, id)),
  );
}

/**
 * True when another container lives in this one's shim: it may name its group by this one's id, and this one says
 * nothing of a group.
 */
export function sharesShim(directories: BundleDirectories, { path, namespace, bootstrap }: Bundle): boolean {
  if (!bootstrap) return false;
  const others = listBundles(directories).filter((one) => one.namespace === namespace && one.path !== path);
  return others.some((other) => other.bootstrap?.address === bootstrap.address);
}

/** Empty for a directory that is not there. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}
