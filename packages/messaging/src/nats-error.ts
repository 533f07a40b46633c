import { invalidArgument, LongshoreError, messageOf } from '@longshore/errors';
import { JetStreamApiError } from '@nats-io/jetstream';
import { InvalidArgumentError, PermissionViolationError } from '@nats-io/nats-core';

/**
 * An error of the NATS client in longshore's kinds. What is neither refused nor malformed is `Unavailable`: no
 * connection, no answer in time, no leader, no room. Publishing again is safe: the message id tells a repetition.
 */
export function fromNatsError(error: unknown): LongshoreError {
  if (error instanceof LongshoreError) return error;
  if (error instanceof PermissionViolationError) {
    return new LongshoreError('PermissionDenied', `NATS: ${error.message}`, { cause: error });
  }
  // The client checks sizes and names before it sends.
  if (error instanceof InvalidArgumentError)
    return invalidArgument(`NATS: ${error.message}`, { cause: error });
  if (error instanceof JetStreamApiError && error.status === 400) {
    return invalidArgument(`NATS: ${error.message}`, { cause: error });
  }
  return new LongshoreError('Unavailable', `NATS: ${messageOf(error)}`, { cause: error });
}
