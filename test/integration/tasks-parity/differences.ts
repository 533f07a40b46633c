import { expect } from 'vitest';

/** What each daemon says to a step. */
export interface Difference {
  ours: unknown;
  theirs: unknown;
}

/** A spec that is none is the caller's mistake; containerd passes on what Go, or runc, makes of it. */
const NO_SPEC = 'InvalidArgument: spec is no JSON object';
const BAD_OPTIONS = 'Unknown: invalid task create option for io.containerd.runc.v2';

/** Case → step → where this node means to answer otherwise, or goes by a containerd later than Debian's. */
export const DIFFERENCES: Record<string, Record<string, Difference>> = {
  'execs that are refused': {
    // The shim would delete the task, and leave us its shim.
    'delete without id': {
      ours: 'InvalidArgument: exec id cannot be empty',
      theirs: 'Unknown: cannot delete a running process',
    },
  },
  // The one call for which containerd forgets the kind of such an error.
  'what is not there': {
    'metrics in ""': {
      ours: 'FailedPrecondition: namespace is required',
      theirs: 'Unknown: namespace is required',
    },
    'metrics in "no such/thing"': {
      ours: expect.stringMatching(/^InvalidArgument: namespace validation: /),
      theirs: expect.stringMatching(/^Unknown: namespace validation: /),
    },
  },
  'creates that are refused': {
    cut: {
      ours: expect.stringMatching(/^InvalidArgument: spec is no JSON document: /),
      theirs: 'Unknown: failed to start shim: unexpected end of JSON input',
    },
    empty: {
      ours: expect.stringMatching(/^InvalidArgument: spec is no JSON document: /),
      theirs: 'Unknown: failed to start shim: unexpected end of JSON input',
    },
    listed: { ours: NO_SPEC, theirs: expect.stringMatching(/^Unknown: failed to start shim: json: /) },
    nulls: {
      ours: NO_SPEC,
      theirs: expect.stringMatching(/^Unknown: .*runc did not terminate successfully/),
    },
    // In the words of later ones.
    'odd-options': { ours: BAD_OPTIONS, theirs: 'Unknown: type with url acme.Options' },
    'odd-record-options': {
      ours: BAD_OPTIONS,
      theirs: expect.stringMatching(/^Unknown: failed to start shim: .*type with url acme\.Options/),
    },
    'odd-runtime': {
      ours: expect.stringMatching(/^Unknown: .* correct runtime name .* like `io\.containerd\.runc\.v2`/),
      theirs: expect.stringMatching(/^Unknown: .* correct runtime name .* like `io\.containerd\.runc\.v1`/),
    },
  },
  // It can be ended still.
  'the record of a task that runs': {
    get: {
      ours: { process: expect.objectContaining({ id: 'c', status: 2 }) },
      theirs: expect.stringMatching(/^NotFound: container "c" /),
    },
    kill: { ours: {}, theirs: expect.stringMatching(/^NotFound: container "c" /) },
  },
  // There they stay, as empty ones or as they were.
  'extensions that are taken away': {
    one: { ours: ['b'], theirs: ['a', 'b'] },
    all: { ours: [], theirs: ['a', 'b'] },
  },
};
