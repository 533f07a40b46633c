import { CONTROL_SERVICES } from '@longshore/local';
import { CutOff } from './cut-off.ts';
import type { Fleet } from './fleet.ts';
import type { EventStream } from './stream-reader.ts';

/** Stops every replica of every service, and after `during` starts them again: no node's containers notice. */
export async function throughOutage(
  fleet: Fleet,
  image: string,
  events: EventStream,
  during: () => Promise<void>,
): Promise<void> {
  const cuts = fleet.nodes.map((node) => new CutOff(fleet, node, image, 'outage'));
  await Promise.all(cuts.map((cut) => cut.prepare()));
  const { controlPlane, local } = fleet;
  const replicas = CONTROL_SERVICES.flatMap((service) =>
    local.layout.replicas.map((replica) => [service, replica] as const),
  );
  await Promise.all(replicas.map(([service, replica]) => controlPlane.stop(service, replica)));
  const writes = await Promise.all(cuts.map((cut) => cut.expectWritesRefused()));
  await during();
  await Promise.all(cuts.map((cut) => cut.expectWorksAlone()));
  await Promise.all(replicas.map(([service, replica]) => controlPlane.start(service, replica)));
  const healed = await Promise.all(cuts.map((cut) => cut.expectHealed()));
  console.log('outage:', JSON.stringify({ writes, healed }));
  for (const cut of cuts) await cut.expectEvents(events);
}
