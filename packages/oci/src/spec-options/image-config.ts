import type { ImageConfig } from '../manifest.ts';
import { mergeEnv } from './environment.ts';
import { changeProcess, composeSpecOptions, type SpecOption } from './spec-option.ts';
import type { UserFiles } from './user-database.ts';
import { withAdditionalGids, withUser } from './users.ts';

/** For images that say nothing. */
const DEFAULT_ENV = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];

/**
 * Takes command, environment, working directory and user from an image. `args` come in the place of its command, behind its
 * entrypoint; variables that were set before win over the image's. Throws as `withUser`.
 * Source: containerd pkg/oci/spec_opts.go WithImageConfigArgs.
 */
export function withImageConfig(
  image: ImageConfig,
  files: UserFiles,
  args: readonly string[] = [],
): SpecOption {
  const { Env, Entrypoint, Cmd, WorkingDir, User } = image.config ?? {};
  return composeSpecOptions(
    changeProcess(({ env = [], ...process }) => ({
      ...process,
      env: mergeEnv(Env?.length ? Env : DEFAULT_ENV, env),
      args: [...(Entrypoint ?? []), ...(args.length > 0 ? args : (Cmd ?? []))],
      cwd: WorkingDir || '/',
    })),
    User ? withImageUser(User, files) : withAdditionalGids('root', files),
  );
}

function withImageUser(user: string, files: UserFiles): SpecOption {
  return (spec) => {
    const changed = withUser(user, files)(spec);
    return withAdditionalGids(String(changed.process?.user?.uid), files)(changed);
  };
}
