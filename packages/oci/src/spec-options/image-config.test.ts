import { describe, expect, it } from 'vitest';
import type { ImageConfig } from '../manifest.ts';
import { defaultSpec } from './default-spec.ts';
import { withEnv } from './environment.ts';
import { withImageConfig } from './image-config.ts';
import { applySpecOptions, type SpecOption } from './spec-option.ts';

const files = {
  passwd: () => 'root:x:0:0:::\napp:x:1000:1000:::\n',
  group: () => 'staff:x:50:app\ndisk:x:6:root\n',
};

function imageOf(config: NonNullable<ImageConfig['config']>): ImageConfig {
  return { os: 'linux', architecture: 'amd64', config, rootfs: { type: 'layers', diff_ids: [] } };
}

function processAfter(...options: SpecOption[]) {
  return applySpecOptions(defaultSpec({ namespace: 'default', id: 'web' }), ...options).process;
}

describe('withImageConfig', () => {
  it('takes command, environment, directory and user', () => {
    const image = imageOf({
      Env: ['PATH=/bin', 'A=1'],
      Entrypoint: ['/entry'],
      Cmd: ['serve'],
      WorkingDir: '/srv',
      User: 'app',
    });
    expect(processAfter(withImageConfig(image, files))).toMatchObject({
      env: ['PATH=/bin', 'A=1'],
      args: ['/entry', 'serve'],
      cwd: '/srv',
      user: { uid: 1000, gid: 1000, additionalGids: [1000, 50] },
    });
  });

  it("puts arguments in the place of the image's command, behind its entrypoint", () => {
    const image = imageOf({ Entrypoint: ['/entry'], Cmd: ['serve'] });
    expect(processAfter(withImageConfig(image, files, ['check']))?.args).toEqual(['/entry', 'check']);
    expect(processAfter(withImageConfig(imageOf({ Cmd: ['serve'] }), files, ['check']))?.args).toEqual([
      'check',
    ]);
  });

  it('lets variables win that were set before', () => {
    const image = imageOf({ Env: ['A=1', 'B=2'] });
    expect(processAfter(withEnv(['B=3', 'C=4']), withImageConfig(image, files))?.env).toEqual([
      'A=1',
      'B=3',
      'C=4',
    ]);
  });

  it('has defaults for an image that says nothing', () => {
    expect(processAfter(withImageConfig(imageOf({}), files))).toMatchObject({
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      args: [],
      cwd: '/',
      user: { uid: 0, gid: 0, additionalGids: [0, 6] },
    });
  });
});
