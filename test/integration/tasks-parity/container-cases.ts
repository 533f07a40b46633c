import type { Cases, Side } from './side.ts';

const any = (value: string, typeUrl = 'acme.Thing') => ({ typeUrl, value: Buffer.from(value) });
const RUNTIME = { name: 'io.containerd.runc.v2' };

async function listed(side: Side, ...filters: string[]): Promise<string[]> {
  const { containers } = await side.containers.list({ filters }, side.options);
  return containers.map(({ id }) => id);
}

export const CONTAINER_CASES: Cases = {
  'creates of records': async (side) => {
    const { containers, options } = side;
    const base = { runtime: RUNTIME, spec: any('{}') };
    const attempts = {
      whole: {
        ...base,
        labels: { a: '1', empty: '', 'x.y/z': '2' },
        image: 'example.test/nothing:1',
        runtime: { ...RUNTIME, options: any('options') },
        snapshotter: 'overlayfs',
        snapshotKey: 'no-such-key',
        extensions: { one: any('1'), 'two/three': any('') },
      },
      'least-0': base,
      'no-runtime': { spec: any('{}') },
      'no-runtime-name': { ...base, runtime: { name: '' } },
      'no-spec': { runtime: RUNTIME },
      'bare-spec': { ...base, spec: {} },
      'no-snapshotter': { ...base, snapshotKey: 'k' },
      'no-key': { ...base, snapshotter: 'no-such-snapshotter' },
      'long-label': { ...base, labels: { a: 'x'.repeat(4096) } },
      'no-extension-name': { ...base, extensions: { '': any('1') } },
      '': base,
      'no/slash': base,
      '-x': base,
      'x-': base,
      'a..b': base,
      ['x'.repeat(76)]: base,
      ['x'.repeat(77)]: base,
      ä: base,
    };
    for (const [id, container] of Object.entries(attempts)) {
      const name = JSON.stringify(id);
      await side.sayKind(`create ${name}`, containers.create({ container: { id, ...container } }, options));
      await side.sayKind(`get ${name}`, containers.get({ id }, options));
    }
    await side.sayKind('create again', containers.create({ container: { id: 'whole', ...base } }, options));
    await side.sayKind('create nothing', containers.create({}, options));
    await side.sayKind('list', listed(side));
    await side.sayKind('delete', containers.delete({ id: 'whole' }, options));
    await side.sayKind('delete again', containers.delete({ id: 'whole' }, options));
    await side.sayKind('delete without id', containers.delete({ id: '' }, options));
    await side.sayKind('get deleted', containers.get({ id: 'whole' }, options));
    await side.sayKind('get in no namespace', containers.get({ id: 'whole' }, side.as('').options));
    await side.sayKind('list in none', listed(side.as('')));
    await side.sayKind('list in a bad one', listed(side.as('a/b')));
  },

  'updates by mask': async (side) => {
    const { containers, options } = side;
    const first = {
      id: 'u',
      runtime: { ...RUNTIME, options: any('options') },
      spec: any('{"a":1}'),
      image: 'one',
      labels: { a: '1', b: '2' },
      snapshotter: 'overlayfs',
      snapshotKey: 'k',
      extensions: { e: any('1') },
    };
    await containers.create({ container: first }, options);
    const second = {
      id: 'u',
      runtime: { name: 'other', options: any('other') },
      spec: any('{"b":2}'),
      image: 'two',
      labels: { a: 'x', c: '3', 'd.e': '4' },
      snapshotter: 'other',
      snapshotKey: 'l',
      extensions: { e: any('9'), g: any('3') },
    };
    const update = (name: string, container: object, ...paths: string[]) =>
      side.sayKind(
        name,
        containers.update({ container: { id: 'u', ...container }, updateMask: { paths } }, options),
      );
    await update('a label', second, 'labels.a');
    await update('a label with a dot', second, 'labels.d.e');
    await update('a label that the request does not have', second, 'labels.b');
    await update('an empty label', { labels: { a: '' } }, 'labels.a');
    await update('all labels', second, 'labels');
    await update('an extension', second, 'extensions.e');
    await update('all extensions', second, 'extensions');
    await update('spec', second, 'spec');
    await update('spec, by none', { spec: undefined }, 'spec');
    await update('image', second, 'image');
    await update('snapshot key', second, 'snapshotkey');
    await update('snapshot key, as the message has it', second, 'snapshot_key');
    await update('snapshotter', second, 'snapshotter');
    await update('runtime', second, 'runtime');
    await update('runtime name', second, 'runtime.name');
    await update('id', second, 'id');
    await update('nonsense', second, 'nonsense');
    await update('nonsense after what is right', { labels: { z: '26' } }, 'labels.z', 'nonsense');
    await update('two at once', { ...second, image: 'three' }, 'image', 'labels.c');
    await update('a label that is too long', { labels: { a: 'x'.repeat(4096) } }, 'labels.a');
    await update(
      'labels that are too long, not asked for',
      { labels: { a: 'x'.repeat(4096) }, image: 'four' },
      'image',
    );
    await update('everything, another snapshotter', { ...first, snapshotter: 'other' });
    await update('everything, another runtime', { ...first, runtime: { name: 'other' } });
    await update('everything, without spec', { ...first, spec: undefined });
    await update('everything', {
      ...first,
      image: 'five',
      labels: { only: '1' },
      extensions: second.extensions,
    });
    await update('nobody', { ...first, id: 'nobody' }, 'image');
    await update('without id', { id: '' }, 'image');
    await side.sayKind('nothing', containers.update({}, options));
    await side.sayKind('get', containers.get({ id: 'u' }, options));
  },

  'extensions that are taken away': async (side) => {
    const { containers, options } = side;
    const record = { id: 'x', runtime: RUNTIME, spec: any('{}') };
    const names = async () => {
      const { container } = await containers.get({ id: 'x' }, options);
      return Object.keys(container!.extensions).toSorted();
    };
    await containers.create({ container: { ...record, extensions: { a: any('1'), b: any('2') } } }, options);
    for (const [step, path] of [
      ['one', 'extensions.a'],
      ['all', 'extensions'],
    ] as const) {
      await containers.update({ container: record, updateMask: { paths: [path] } }, options);
      await side.sayKind(step, names());
    }
  },

  'lists by filter': async (side) => {
    const { containers, options } = side;
    const base = { runtime: RUNTIME, spec: any('{}') };
    const records = [
      { id: 'b', image: 'example.test/one:1', labels: { colour: 'red', 'a.b/c': 'x' } },
      { id: 'a', image: 'example.test/two:1', labels: { colour: 'blue' }, runtime: { name: 'io.acme.x.v1' } },
      { id: 'B', labels: { empty: '' } },
      { id: 'a-1' },
    ];
    for (const record of records) await containers.create({ container: { ...base, ...record } }, options);
    const filters = [
      'id==a',
      'id!=a',
      'id~=^a',
      'id~=/^[ab]$/',
      'id~="("',
      'image==example.test/one:1',
      'image~=example',
      'image',
      'runtime.name==io.acme.x.v1',
      'runtime.name!=io.acme.x.v1',
      'runtime==io.acme.x.v1',
      'labels.colour==red',
      'labels.colour!=red',
      'labels.colour',
      'labels.empty',
      'labels."a.b/c"==x',
      'labels.a.b/c==x',
      'labels',
      'snapshotter==overlayfs',
      'spec',
      'id==a,labels.colour==blue',
      'id==a,labels.colour==red',
      'id==a ',
      ' id==a',
      'id == a',
      'id=="a"',
      "id=='a'",
      'id==',
      'id=a',
      '==a',
      '=',
      ',',
      '',
    ];
    for (const filter of filters) {
      await side.sayKind(JSON.stringify(filter), listed(side, filter));
      const streamed = Array.fromAsync(containers.listStream({ filters: [filter] }, options));
      await side.sayKind(
        `stream ${JSON.stringify(filter)}`,
        streamed.then((all) => all.map(({ container }) => container?.id)),
      );
    }
    await side.sayKind('any of two', listed(side, 'id==a', 'id==B'));
    await side.sayKind('one of two is none', listed(side, 'id==a', '='));
    await side.sayKind('all', listed(side));
  },
};
