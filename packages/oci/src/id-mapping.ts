/** A range of users or groups of a user namespace. Source: user_namespaces(7). */
export interface IdMapping {
  containerID: number;
  hostID: number;
  size: number;
}
