import { digestOf } from '@longshore/oci';
import { WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { Header } from '@longshore/proto/headers';
import { bytes, type Cases, KEPT, outcome } from './side.ts';

const { WRITE } = WriteAction;
const MISSING = digestOf('nobody has this');

/** Leases, and the namespaces that they are in. */
export const LEASE_CASES: Cases = {
  namespaces: async ({ as, namespaces, options }) => {
    const name = 'made';
    const inside = as(name);
    const labels = async () => (await namespaces.get({ name }, options)).namespace?.labels;
    const change = (work: Promise<unknown>) => outcome(work.then(labels));
    const update = (requested: Record<string, string>, ...paths: string[]) =>
      change(namespaces.update({ namespace: { name, labels: requested }, updateMask: { paths } }, options));
    const create = (other: string, requested: Record<string, string> = {}) =>
      outcome(namespaces.create({ namespace: { name: other, labels: requested } }, options).then(labels));
    const remove = () => outcome(namespaces.delete({ name }, options).then(() => 'deleted'));
    return [
      await labels(),
      await remove(),
      await create(name, { a: '1', empty: '' }),
      await create(name),
      await Promise.all(['', 'a b', 'a/b', 'a'.repeat(77)].map((other) => create(other))),
      await update({ a: '2', 'b.c': '3', d: 'not asked' }, 'labels.a', 'labels.b.c'),
      await update({ a: '' }, 'labels.a'),
      await update({ z: '26', empty: '' }),
      await update({ y: '25' }, 'labels'),
      await update({ y: '25' }, 'name'),
      await outcome(inside.leases.create({ id: 'l' }, inside.options).then(() => 'created')),
      await inside.put('keeps it', KEPT),
      await remove(),
      await outcome(inside.content.delete({ digest: digestOf('keeps it') }, inside.options).then(() => 0)),
      await inside.write({ ref: 'open', action: WRITE, data: bytes('x') }),
      await remove(),
      (await inside.leases.list({}, inside.options)).leases,
      await inside.statuses(),
      await remove(),
      await update({ made: 'by an update' }, 'labels.made'),
      await remove(),
    ];
  },
  leases: async ({ leases, options, as }) => {
    const id = 'any id/will do';
    const create = (labels: Record<string, string>) =>
      outcome(leases.create({ id, labels }, options).then(({ lease }) => lease?.id));
    const list = (...filters: string[]) =>
      outcome(
        leases
          .list({ filters }, options)
          .then((listed) => listed.leases.map((lease) => [lease.id, lease.labels])),
      );
    const resources = [
      ['content', MISSING],
      ['ingests', 'any ref'],
      ['snapshots/overlayfs', 'extract-1 sha256:abc/def'],
      ['content', 'no digest'],
      ['content/x', MISSING],
      ['ingests/x', 'x'],
      ['snapshots', 'x'],
      ['snapshots/a/b', 'x'],
      ['sandboxes', 'x'],
    ].map(([type = '', key = '']) => ({ type, id: key }));
    const each = async (change: typeof leases.addResource | typeof leases.deleteResource) => {
      const outcomes: unknown[] = [];
      for (const resource of resources) {
        outcomes.push(await outcome(change({ id, resource }, options).then(() => 'done')));
      }
      return outcomes;
    };
    const kept = (lease = id) =>
      outcome(
        leases
          .listResources({ id: lease }, options)
          .then((listed) => listed.resources.map(({ type, id: key }) => `${type} ${key}`)),
      );
    const unleased = as('unleased', { [Header.Lease]: 'none' });
    return [
      await create({ a: 'x'.repeat(5000) }),
      await create({}),
      await list(`id=="${id}"`, 'labels.b'),
      await list('labels.a!=""'),
      await list('id='),
      [await each(leases.addResource), await each(leases.addResource), await kept()],
      [await each(leases.deleteResource), await each(leases.deleteResource), await kept()],
      [
        await outcome(leases.addResource({ id: 'none', resource: resources[0]! }, options)),
        await kept('none'),
      ],
      await outcome(leases.deleteResource({ id: 'none', resource: resources[0]! }, options)),
      await outcome(leases.delete({ id }, options).then(() => 'deleted')),
      await outcome(leases.delete({ id }, options)),
      // A lease that is none is in the way of what it would have to keep only.
      await outcome(unleased.content.delete({ digest: MISSING }, unleased.options)),
      await outcome(unleased.content.abort({ ref: 'none' }, unleased.options)),
      await unleased.list(),
    ];
  },
};
