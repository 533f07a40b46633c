import { describe, expect, it } from 'vitest';
import { currentTrace, parseTrace, runInTrace, traceHeaders } from './trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

describe('the trace of a call', () => {
  it.each([`00-${TRACE}-${SPAN}-01`, `00-${TRACE}-${SPAN}-00`, `00-${TRACE}-${SPAN}-ff`])(
    'is passed on as it came: %s',
    (traceparent) => {
      const headers = { traceparent, tracestate: 'vendor=a:b,other=c' };
      expect(traceHeaders(parseTrace(headers.traceparent, headers.tracestate))).toEqual(headers);
    },
  );

  it('is that of a later version of the standard, as far as it is known', () => {
    expect(traceHeaders(parseTrace(`01-${TRACE}-${SPAN}-01-more`))).toEqual({
      traceparent: `00-${TRACE}-${SPAN}-01`,
    });
  });

  it.each([
    undefined,
    '',
    'x',
    TRACE,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE}-${SPAN}-01-more`,
  ])('is none where the header is not valid: %s', (traceparent) => {
    expect(parseTrace(traceparent)).toBeUndefined();
  });

  it('goes without a state that is too long, or that no header can hold', () => {
    for (const state of [`a=${'b'.repeat(511)}`, 'a=\u0000', 'a=\u00e4']) {
      expect(parseTrace(`00-${TRACE}-${SPAN}-01`, state)).toMatchObject({ traceId: TRACE, state: '' });
    }
  });

  it('is known to all that the work begins, and to nothing else', async () => {
    const trace = parseTrace(`00-${TRACE}-${SPAN}-01`);
    const seen = await runInTrace(trace, async () => {
      await Promise.resolve();
      return [currentTrace(), runInTrace(undefined, traceHeaders)];
    });
    expect(seen).toEqual([trace, {}]);
    expect([currentTrace(), traceHeaders()]).toEqual([undefined, {}]);
  });
});
