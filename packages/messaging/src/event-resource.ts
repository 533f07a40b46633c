import { anyToJson } from '@longshore/proto';

/** Fields that name what an event is about, in containerd's events and ours; the first one present counts. */
const NAMING_FIELDS = ['container_id', 'sandbox_id', 'digest', 'key', 'name', 'id'];

/** What an event is about, read from its payload: a container's id, an image's name, …; empty when unknown. */
export function resourceOf(event: { typeUrl: string; value: Uint8Array }): string {
  const fields = anyToJson(event);
  if (typeof fields !== 'object' || fields === null) return '';
  const values = NAMING_FIELDS.map((name) => (fields as Record<string, unknown>)[name]);
  const named = values.find((value) => typeof value === 'string' && value !== '');
  return typeof named === 'string' ? named : '';
}
