import type { MessageInitShape } from '@bufbuild/protobuf';
import { invalidArgument } from '@longshore/errors';
import type { AttachRequestSchema } from '@longshore/proto/longshore/node/v1/stdio';
import { inputPieces } from '../tasks/input-pieces.ts';
import type { ProcessSocket } from './process-socket.ts';

/** What a process hears of its client, in the words of `StdioService`, whose Attach and Exec have these in common. */
export type ProcessInput = Extract<
  MessageInitShape<typeof AttachRequestSchema>['message'],
  { case: 'stdin' | 'stdinClosed' | 'resize' }
>;

/** What a client says, until it goes. Throws InvalidArgument for what the protocol does not have, or was not asked for. */
export async function* processInput(
  socket: ProcessSocket,
  takesStdin: boolean,
): AsyncGenerator<ProcessInput> {
  for await (const message of socket.messages()) {
    if (message.kind === 'resize') {
      const { width, height } = message;
      yield { case: 'resize', value: { width, height } };
      continue;
    }
    if (!takesStdin) throw invalidArgument('standard input: was not asked for');
    if (message.kind === 'close') yield { case: 'stdinClosed', value: {} };
    else for (const value of inputPieces(message.data)) yield { case: 'stdin', value };
  }
}
