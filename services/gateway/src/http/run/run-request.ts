import type { FromSchema } from 'json-schema-to-ts';
import { descriptionSchema } from '../containers/description.ts';
import { fields, namespaceQuery, text } from '../schemas.ts';

const flag = { type: 'boolean', default: false } as const;
const { spec: _, ...described } = descriptionSchema.properties;

export const runQuery = fields({
  namespace: namespaceQuery,
  node: { ...text, description: 'Where; default: the one node that takes containers, if there is but one.' },
});

/** A container as a person describes it, and what is to be done with it. */
export const runBody = fields(
  {
    ...described,
    image: { ...text, minLength: 1, description: '`busybox` is `docker.io/library/busybox:latest`.' },
    stdin: { ...flag, description: 'Opens a standard input, for attach to write.' },
    pull: {
      enum: ['missing', 'always', 'never'],
      default: 'missing',
      description: '`missing`: when the node does not have the image, or has not unpacked it.',
    },
    username: { ...text, default: '' },
    password: { ...text, default: '', description: 'Of the registry; kept nowhere.' },
    plain_http: flag,
    rm: {
      ...flag,
      description:
        'Has its node remove the container when it has ended, detached or not; not for one that is restarted.',
    },
    detach: { ...flag, description: 'Answers when it has started.' },
  },
  ['image'],
);

export type RunRequest = FromSchema<typeof runBody>;
