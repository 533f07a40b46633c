import type { Node } from '@longshore/proto/longshore/runtime/v1/nodes';
import { nodeStateName, nodeToJson } from '@longshore/proto/node-json';
import { labelsText } from '../labels.ts';
import { ageText, sizeText } from '../output/quantity.ts';
import type { View } from '../output/show.ts';

export const NODE_VIEW: View<Node> = {
  columns: [
    { header: 'NODE', value: ({ id }) => id },
    {
      header: 'STATE',
      value: ({ state, cordoned }) => `${nodeStateName(state)}${cordoned ? ',cordoned' : ''}`,
    },
    { header: 'TASKS', value: ({ runningTasks }) => String(runningTasks) },
    { header: 'LAST SEEN', value: ({ lastSeenAt }) => ageText(lastSeenAt) },
    { header: 'VERSION', value: ({ softwareVersion }) => softwareVersion },
    { header: 'ADDRESS', value: ({ address }) => address, isWide: true },
    { header: 'CPUS', value: ({ capacity }) => String(capacity?.cpus ?? '-'), isWide: true },
    {
      header: 'MEMORY',
      value: ({ capacity }) => (capacity ? sizeText(capacity.memoryBytes) : '-'),
      isWide: true,
    },
    {
      header: 'DISK',
      value: ({ capacity }) => (capacity ? sizeText(capacity.diskBytes) : '-'),
      isWide: true,
    },
    { header: 'KERNEL', value: ({ kernel }) => kernel, isWide: true },
    { header: 'LABELS', value: ({ labels }) => labelsText(labels), isWide: true },
    { header: 'NOTICE', value: ({ notice }) => notice, shrinks: true },
  ],
  name: ({ id }) => id,
  document: nodeToJson,
};
