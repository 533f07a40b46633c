import { mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The directory into which `ctr install` unpacks runtimes. It is made when it is not there. Answers the environment in
 * which its programs and libraries are found first. Source: containerd plugins/services/opt.
 */
export function withOptDirectory(env: Environment, path: string): Environment {
  const [bin, lib] = [join(path, 'bin'), join(path, 'lib')];
  for (const directory of [bin, lib]) mkdirSync(directory, { recursive: true, mode: 0o711 });
  return { ...env, PATH: before(bin, env.PATH), LD_LIBRARY_PATH: before(lib, env.LD_LIBRARY_PATH) };
}

/** An empty entry would mean the current directory. */
function before(first: string, rest: string | undefined): string {
  return rest ? `${first}${delimiter}${rest}` : first;
}
