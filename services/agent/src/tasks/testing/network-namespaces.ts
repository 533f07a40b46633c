import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { readMountInfo } from '@longshore/linux';

/**
 * Network namespaces of containers, to tell who else holds them. They are kept open meanwhile: the kernel gives the number of
 * one that is gone to the next, which may be another test's.
 */
export class NetworkNamespaces implements Disposable {
  /** Descriptors by the namespaces' names, as `/proc/<pid>/ns/net` shows them. */
  readonly #held = new Map<string, number>();

  /** Keeps the one that a process is in. The host's own, and that of a process which has ended, are left out. */
  keep(pid: number): void {
    const name = networkNamespace(pid);
    if (name === undefined || name === networkNamespace('self') || this.#held.has(name)) return;
    const fd = openSync(`/proc/${pid}/ns/net`, 'r');
    this.#held.set(name, fd);
  }

  /** Processes that are in one of them, mounts of them, and descriptors of this process but for those kept here. */
  holders(): string[] {
    if (this.#held.size === 0) return [];
    const isKept = (name: string | undefined) => name !== undefined && this.#held.has(name);
    const own = new Set([...this.#held.values()].map(String));
    const processes = numbersIn('/proc').filter((pid) => isKept(networkNamespace(pid)));
    const mounts = readMountInfo().filter(({ type, root }) => type === 'nsfs' && isKept(root));
    const descriptors = numbersIn('/proc/self/fd').filter(
      (fd) => !own.has(fd) && isKept(linkOf(`/proc/self/fd/${fd}`)),
    );
    return [
      ...processes.map((pid) => `network namespace of process ${pid}`),
      ...mounts.map(({ mountPoint }) => `network namespace at ${mountPoint}`),
      ...descriptors.map((fd) => `network namespace in descriptor ${fd}`),
    ];
  }

  [Symbol.dispose](): void {
    for (const fd of this.#held.values()) closeSync(fd);
    this.#held.clear();
  }
}

/** `net:[<number>]`; undefined when the process has ended. */
export function networkNamespace(pid: number | string): string | undefined {
  return linkOf(`/proc/${pid}/ns/net`);
}

function numbersIn(directory: string): string[] {
  return readdirSync(directory).filter((name) => /^\d+$/.test(name));
}

/** Undefined when it has gone meanwhile. */
function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
