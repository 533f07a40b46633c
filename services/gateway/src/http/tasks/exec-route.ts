import type { MessageInitShape } from '@bufbuild/protobuf';
import { LongshoreError } from '@longshore/errors';
import { type ExecRequestSchema, type ExecStart, Stream } from '@longshore/proto/longshore/node/v1/stdio';
import type { FastifyInstance } from 'fastify';
import type { Backends } from '../backends.ts';
import { inNamespace } from '../route-rule.ts';
import { answers, object, text } from '../schemas.ts';
import { execStart, processProperties, type WantedProcess } from './exec-request.ts';
import { exitToJson } from './exit-json.ts';
import { inputPieces } from './input-pieces.ts';
import { exitSchema, ofContainer } from './task-schemas.ts';
import { type OfContainer, type TaskTarget, taskTarget } from './task-target.ts';

/** Of each output; more is for sockets. */
const MAX_OUTPUT_BYTES = 1024 ** 2;
/** As the input is JSON, which is parsed whole. */
const MAX_STDIN_LENGTH = 512 * 1024;
const DEFAULT_TIMEOUT_SECONDS = 60;
const MAX_TIMEOUT_SECONDS = 3_600;

interface ExecBody extends WantedProcess {
  stdin?: string;
  timeout_seconds?: number;
  detach?: boolean;
}

const started = { exec_id: text, pid: { type: 'integer' } } as const;

const schema = ofContainer(
  'execInContainer',
  'Runs a short command in a container, and answers what it has written',
  {
    body: {
      type: 'object',
      required: ['args'],
      additionalProperties: false,
      properties: {
        ...processProperties,
        stdin: { ...text, maxLength: MAX_STDIN_LENGTH, description: 'All of its standard input.' },
        timeout_seconds: {
          type: 'number',
          exclusiveMinimum: 0,
          maximum: MAX_TIMEOUT_SECONDS,
          default: DEFAULT_TIMEOUT_SECONDS,
          description: 'Then it is killed, and the answer is 504. A caller that leaves has it killed too.',
        },
        detach: {
          type: 'boolean',
          default: false,
          description:
            "Answers when it has started; it goes on by itself, and its output is in the container's log.",
        },
      },
    },
    response: {
      ...answers(
        'It has ended.',
        object({
          ...started,
          ...exitSchema.properties,
          stdout: text,
          stderr: text,
          truncated: {
            type: 'boolean',
            description: `An output had more than ${MAX_OUTPUT_BYTES} bytes; the rest is lost.`,
          },
        }),
      ),
      202: { description: 'It was started, and is detached.', ...object(started) },
    },
  },
);

export function execRoute(app: FastifyInstance, backends: Backends): void {
  app.post<OfContainer & { Body: ExecBody }>(
    '/containers/:id/exec',
    { schema, config: inNamespace('write') },
    async (request, reply) => {
      const {
        stdin,
        detach = false,
        timeout_seconds: seconds = DEFAULT_TIMEOUT_SECONDS,
        ...wanted
      } = request.body;
      const target = await taskTarget(backends, request, reply);
      await request.requireEntry(target);
      const input = stdin !== undefined && !detach;
      const start = execStart(target.id, wanted, { stdin: input, detached: detach });
      const late = AbortSignal.timeout(seconds * 1_000);
      try {
        const result = await exec(target, start, stdin ?? '', AbortSignal.any([target.call.signal, late]));
        return reply.code(detach ? 202 : 200).send(result);
      } catch (error) {
        if (!late.aborted) throw error;
        throw new LongshoreError(
          'DeadlineExceeded',
          `command: has not ended after ${seconds} s: deadline exceeded`,
        );
      }
    },
  );
}

async function exec({ call, stdio }: TaskTarget, start: ExecStart, stdin: string, signal: AbortSignal) {
  const outputs = { [Stream.STDOUT]: new BoundedText(), [Stream.STDERR]: new BoundedText() };
  let result = {};
  for await (const { message } of stdio.exec(requests(start, stdin), { headers: call.headers, signal })) {
    switch (message.case) {
      case 'started':
        result = { exec_id: message.value.execId, pid: message.value.pid };
        break;
      case 'output':
        outputs[message.value.stream === Stream.STDERR ? Stream.STDERR : Stream.STDOUT].add(
          message.value.data,
        );
        break;
      case 'exit': {
        const { [Stream.STDOUT]: stdout, [Stream.STDERR]: stderr } = outputs;
        result = {
          ...result,
          ...exitToJson({ ...message.value, exitStatus: message.value.status }),
          stdout: stdout.toString(),
          stderr: stderr.toString(),
          truncated: stdout.isTruncated || stderr.isTruncated,
        };
      }
    }
  }
  return result;
}

async function* requests(
  start: ExecStart,
  stdin: string,
): AsyncGenerator<MessageInitShape<typeof ExecRequestSchema>> {
  yield { message: { case: 'start', value: start } };
  for (const value of inputPieces(Buffer.from(stdin))) yield { message: { case: 'stdin', value } };
}

/** The first bytes of an output. */
class BoundedText {
  readonly #parts: Uint8Array[] = [];
  #left = MAX_OUTPUT_BYTES;
  isTruncated = false;

  add(data: Uint8Array): void {
    const taken = data.subarray(0, this.#left);
    if (taken.length > 0) this.#parts.push(taken);
    this.#left -= taken.length;
    this.isTruncated ||= taken.length < data.length;
  }

  toString(): string {
    return Buffer.concat(this.#parts).toString();
  }
}
