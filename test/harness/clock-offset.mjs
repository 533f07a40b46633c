/**
 * Preloaded into a node's agent to give it a clock that is wrong: LONGSHORE_TEST_CLOCK_OFFSET_MS is added to what the
 * machine's says. (A namespace of the kernel can shift only clocks that count from boot.)
 */
const offsetMs = Number(process.env.LONGSHORE_TEST_CLOCK_OFFSET_MS);
const RealDate = Date;

globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + offsetMs);
    else super(...args);
  }

  static now() {
    return RealDate.now() + offsetMs;
  }
};
