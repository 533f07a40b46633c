import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { OutboxEvent } from '@longshore/postgres';
import { FLEET } from '@longshore/proto/headers';
import {
  NodeCordonSchema,
  NodeDrainingSchema,
  NodeGoneSchema,
  NodeJoiningSchema,
  NodeLabelsSchema,
  NodeReadySchema,
  NodeUncordonSchema,
  NodeUnreachableSchema,
} from '@longshore/proto/longshore/runtime/v1/node_events';
import { labelsOf, type Node } from './domain/node.ts';

/** The events of a change of a node, in order: it has none before it is made. */
export function nodeEvents(before: Node | undefined, after: Node): OutboxEvent[] {
  const events: OutboxEvent[] = [];
  if (before && before.cordoned !== after.cordoned && after.state !== 'gone') {
    events.push(
      after.cordoned
        ? nodeEvent(after, '/nodes/cordon', NodeCordonSchema)
        : nodeEvent(after, '/nodes/uncordon', NodeUncordonSchema),
    );
  }
  if (before?.state !== after.state) events.push(stateEvent(after));
  if (before && !sameLabels(before.operatorLabels, after.operatorLabels)) {
    events.push(nodeEvent(after, '/nodes/labels', NodeLabelsSchema, { labels: labelsOf(after) }));
  }
  return events;
}

function stateEvent(node: Node): OutboxEvent {
  switch (node.state) {
    case 'joining':
      return nodeEvent(node, '/nodes/joining', NodeJoiningSchema);
    case 'ready':
      return nodeEvent(node, '/nodes/ready', NodeReadySchema);
    case 'unreachable':
      return nodeEvent(node, '/nodes/unreachable', NodeUnreachableSchema);
    case 'draining':
      return nodeEvent(node, '/nodes/draining', NodeDrainingSchema, {
        grace: durationFromMs(node.drainGraceMs ?? 0),
      });
    case 'gone':
      return nodeEvent(node, '/nodes/gone', NodeGoneSchema);
  }
}

/** No client can name the namespace of these: nodes belong to none. */
function nodeEvent<S extends DescMessage>(
  { id, revision }: Node,
  topic: string,
  schema: S,
  rest: object = {},
): OutboxEvent {
  const payload = toBinary(schema, create(schema, { ...rest, id } as unknown as MessageInitShape<S>));
  return { namespace: FLEET, node: id, topic, subject: id, revision, typeUrl: schema.typeName, payload };
}

function sameLabels(a: Record<string, string>, b: Record<string, string>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
