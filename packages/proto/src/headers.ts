/** Metadata keys on the wire. Source: containerd pkg/namespaces, core/leases; `longshore-*` are ours. */
export const Header = {
  /** The namespace that a call works in. */
  Namespace: 'containerd-namespace',
  /** The lease that keeps what a call makes. */
  Lease: 'containerd-lease',
  /** The node whose scope a call works in; {@link FLEET} or absent for the fleet's own. */
  Node: 'longshore-node',
  /**
   * On the deletion of a container: ids of the namespace's tasks that its node runs, separated by commas, or {@link ANY_TASK} when
   * they are too many to be named. Set by the node's agent alone.
   */
  LiveTasks: 'longshore-live-tasks',
  /**
   * On a change or a deletion: tags of the versions of the record, separated by spaces, that it is meant for; any other is
   * FailedPrecondition. As `If-Match` of HTTP.
   */
  IfMatch: 'longshore-if-match',
  /** On a List: the first name that is wanted of it, base64url; lists are in byte order of names. */
  ListFrom: 'longshore-list-from',
  /** On a List: at most so many items. */
  ListLimit: 'longshore-list-limit',
  /**
   * Who made a call at the fleet's edge, e.g. `user/alice`. Set by the gateway alone, which takes out what callers send;
   * believed of nobody else, but those on the same machine.
   */
  Caller: 'longshore-caller',
  /** The same at length; the gateway's word to itself. */
  CallerDetails: 'longshore-caller-details',
  /** Names one request in every log line that it causes, in every service. */
  RequestId: 'x-request-id',
  /** Trailer, repeated: a binary `containerd.types.Envelope` of an event that the call caused. */
  EventBin: 'longshore-event-bin',
  /** Trailer: the call has waited for a collection, which may have removed records of any service in its scope. */
  Collected: 'longshore-collected',
  /** Trailer, repeated: a binary `longshore.watch.v1.Record` that the call made, changed or removed in its scope. */
  RecordBin: 'longshore-record-bin',
  /** Trailer at the fleet's edge: ids of nodes that did not answer, separated by commas. */
  UnreachableNodes: 'longshore-unreachable-nodes',
} as const;

export const ANY_TASK = '*';

/** The node part of a scope that belongs to no node. */
export const FLEET = '_';

/** Labels that are longshore's own: given to what is listed, refused in what is written at the fleet's edge. */
export const ReservedLabel = {
  /** Names the node of an item that is listed over all nodes. */
  Node: 'longshore.io/node',
  /** `true` on a container that was deleted while its node was away, until the node agrees. */
  Deleting: 'longshore.io/deleting',
} as const;
