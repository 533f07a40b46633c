import type { SqlColumns } from '@longshore/filters';
import { ReservedLabel } from '@longshore/proto/headers';

/** What filters of containers can ask for. The index of images has their beginnings: they may be longer than an entry can be. */
export const CONTAINER_FILTERS: SqlColumns = {
  texts: {
    id: { column: 'id' },
    image: {
      column: 'image',
      equals: (value) => `left(image, 256) = left(${value}, 256) AND image = ${value}`,
    },
    'runtime.name': { column: 'runtime_name' },
  },
  labels: { column: 'labels', notStored: new Set(Object.values(ReservedLabel)) },
};
