import type { ImageConfig } from '@longshore/oci';
import {
  composeSpecOptions,
  type SpecOption,
  withAdditionalGids,
  withImageConfig,
  withUser,
} from '@longshore/oci/runtime-spec';
import type { ContainerDraft } from './container-draft.ts';
import type { ContainerImage } from './container-image.ts';
import { userFilesOf } from './user-files.ts';

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
      const config = await image.config(draft.call);
      const files = await userFilesOf(draft, needsFiles(config));
      return withImageConfig(config, files, args);
    },
  };
}

/** `user`, `uid`, `user:group` or `uid:gid`, by the files of the container's own snapshot, with the groups that list the user. */
export function user(text: string): SpecPart {
  return {
    async resolve(draft) {
      const files = await userFilesOf(draft, !isNumeric(text));
      const [name = ''] = text.split(':');
      return composeSpecOptions(withUser(text, files), withAdditionalGids(name, files));
    },
  };
}

function needsFiles({ config }: ImageConfig): boolean {
  return !isNumeric(config?.User ?? '');
}

/** Then a caller who cannot read the files, being elsewhere, can do without them. */
function isNumeric(userText: string): boolean {
  return /^(\d+(:\d+)?|root)?$/.test(userText);
}
