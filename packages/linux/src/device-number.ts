/** A device number as the kernel takes it. Source: glibc sys/sysmacros.h. Exact: 44 of 64 bits are used. */
export function makeDevice(major: number, minor: number): number {
  const low = ((major & 0xfff) << 8) | (minor & 0xff);
  const minorHigh = (minor & 0xfff00) * 0x1000;
  const majorHigh = Math.floor(major / 0x1000) * 0x1000_0000_0000;
  return majorHigh + minorHigh + low;
}

/** Linux itself has 12 bits for majors and 20 for minors; more cannot name a device. */
export const MAX_MAJOR = 0xfff;
export const MAX_MINOR = 0xfffff;
