import type { Call } from '@longshore/kit';
import type { TrailersRead } from '../records/node-records.ts';
import type { ToControlPlane } from '../socket/control-plane.ts';

/**
 * For calls that this agent makes by itself on a caller's behalf: what their trailers tell is heard here, where no
 * door passes them on.
 */
export function hearsTrailers(
  toControlPlane: ToControlPlane,
  listeners: readonly ((trailers: TrailersRead) => void)[],
): ToControlPlane {
  return (call: Call) => ({
    ...toControlPlane(call),
    onTrailers: (trailers) => {
      for (const listen of listeners) listen(trailers);
    },
  });
}
