import { create } from '@bufbuild/protobuf';
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { Header } from '@longshore/proto/headers';
import {
  CollectorService,
  type CollectRequest,
  CollectResponseSchema,
} from '@longshore/proto/longshore/content/v1/collector';
import { expect, it } from 'vitest';
import { Collector } from './collector.ts';
import { openChannel, serve } from './testing/grpc-server.ts';

it('asks at once for a scope, and once more for those who ask soon after', async () => {
  const asked: string[] = [];
  const collect = (call: ServerUnaryCall<CollectRequest, unknown>, answer: sendUnaryData<unknown>) => {
    asked.push(String(call.metadata.get(Header.Namespace)[0]));
    answer(null, create(CollectResponseSchema));
  };
  const channel = openChannel(await serve(CollectorService, { Collect: collect }));
  const collector = new Collector(channel, { warn: () => undefined });
  for (let n = 0; n < 3; n++) collector.ask({ namespace: 'a', node: 'n1' });
  await expect.poll(() => asked).toEqual(['a']);
  await expect.poll(() => asked, { timeout: 10_000 }).toEqual(['a', 'a']);
  collector.ask({ namespace: 'b', node: 'n1' });
  await expect.poll(() => asked, { timeout: 10_000 }).toEqual(['a', 'a', 'b']);
});
