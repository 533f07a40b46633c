/**
 * What a snapshotter has of its layers on this node, by their generations. What is discarded leaves its place at once
 * and is deleted afterwards, which for a large layer takes a while.
 */
export interface LayerStore {
  /** Where it is. */
  readonly base: string;
  /** Generations that are in their place. */
  list(): Promise<string[]>;
  /** Takes a layer out of its place; what is not there is out of it already. Follow with {@link purge}. */
  discard(generation: string): void;
  /** Deletes a discarded layer. Safe to repeat, also at the same time. */
  purge(generation: string): Promise<void>;
  /** Deletes what a process had discarded that was killed before it had deleted it. */
  purgeAll(): Promise<void>;
  /** Whether nothing of a layer is left. */
  isGone(generation: string): boolean;
  /** Puts a layer aside, whole, where nothing mounts or deletes it: an operator decides. */
  quarantine(generation: string): Promise<void>;
  quarantined(): Promise<string[]>;
}
