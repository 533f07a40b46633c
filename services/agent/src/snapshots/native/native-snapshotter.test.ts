import { join } from 'node:path';
import { describeSnapshotter } from '../snapshotter.suite.ts';
import { scratchDirectory } from '../testing/scratch-directory.ts';
import { NativeSnapshotter } from './native-snapshotter.ts';

describeSnapshotter('native', async () => NativeSnapshotter.open(join(await scratchDirectory(), 'native')), {
  layers: 20,
  renamesDirectories: true,
});
