import type {
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import type { Metadata } from './metadata.ts';

export interface HandlerContext {
  /** Aborts when the caller's deadline has passed or its connection is gone. */
  readonly signal: AbortSignal;
  readonly metadata: Metadata;
}

/** What implements a service: a function for each rpc. One that is left out answers `Unimplemented`. */
export type ServiceImpl<S extends DescService> = {
  [K in keyof S['method']]?: S['method'][K] extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, context: HandlerContext) => Awaitable<MessageInitShape<O>>
    : S['method'][K] extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageShape<I>, context: HandlerContext) => AsyncIterable<MessageInitShape<O>>
      : S['method'][K] extends DescMethodClientStreaming<infer I, infer O>
        ? (
            requests: AsyncIterable<MessageShape<I>>,
            context: HandlerContext,
          ) => Awaitable<MessageInitShape<O>>
        : S['method'][K] extends DescMethodBiDiStreaming<infer I, infer O>
          ? (
              requests: AsyncIterable<MessageShape<I>>,
              context: HandlerContext,
            ) => AsyncIterable<MessageInitShape<O>>
          : never;
};

export type Awaitable<T> = T | Promise<T>;
