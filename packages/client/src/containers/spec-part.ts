import { composeSpecOptions, type SpecOption, withImageConfig } from '@longshore/oci/runtime-spec';
import { NO_FILES } from '../users/find-user.ts';
import type { ContainerDraft } from './container-draft.ts';
import type { ContainerImage } from './container-image.ts';
import { draftUser, draftUserFiles } from './draft-user.ts';

/** A part of a spec that has to be asked for, or read, before it can be said. */
export interface SpecPart {
  resolve(draft: ContainerDraft): Promise<SpecOption>;
}

/**
 * Command, environment, working directory and user of an image; `args` come in the place of its command. Users by name are those of the
 * container's own snapshot, so {@link withNewSnapshot} comes before. Throws NotFound for a user that is not in it.
 */
export function imageConfig(image: ContainerImage, args: readonly string[] = []): SpecPart {
  return {
    async resolve(draft) {
      const document = await draft.configOf(image);
      const { User: user = '', ...config } = document.config ?? {};
      const hasSnapshot = Boolean(draft.record.snapshotKey);
      if (draft.connection.isLocal && hasSnapshot) {
        return withImageConfig(document, await draftUserFiles(draft), args);
      }
      const unnamed = withImageConfig({ ...document, config }, NO_FILES, args);
      // An image that names nobody has root's groups, of those that its files list.
      if (user === '' && !hasSnapshot) return unnamed;
      return composeSpecOptions(unnamed, await draftUser(draft, user || '0'));
    },
  };
}

/** `user`, `uid`, `user:group` or `uid:gid`, by the files of the container's own snapshot, with the groups that list the user. */
export function user(text: string): SpecPart {
  return { resolve: (draft) => draftUser(draft, text) };
}
