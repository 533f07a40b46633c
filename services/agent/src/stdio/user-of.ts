import {
  applySpecOptions,
  type ProcessSpec,
  rootfsUserFiles,
  withAdditionalGids,
  withUser,
} from '@longshore/oci/runtime-spec';

/**
 * `user`, `uid`, `user:group` or a mixture as the runtime spec has a user, with all groups that list it. `rootfs` is the mounted
 * root file system, whose own passwd and group say what names mean. Throws InvalidArgument for what is no user, NotFound for a name
 * that the files do not have.
 */
export function userOf(rootfs: string, text: string): NonNullable<ProcessSpec['user']> {
  const files = rootfsUserFiles(rootfs);
  const [user = ''] = text.split(':');
  const { process } = applySpecOptions(
    { ociVersion: '' },
    withUser(text, files),
    withAdditionalGids(user, files),
  );
  return process?.user ?? { uid: 0, gid: 0 };
}
