/** Linux itself has 12 bits for majors and 20 for minors. Source: linux/kdev_t.h. */
export const MAX_MAJOR = 0xfff;
export const MAX_MINOR = 0xfffff;

/** A device number as mknod(2) takes it; of numbers within the two limits. Source: glibc sys/sysmacros.h. */
export function makeDevice(major: number, minor: number): number {
  return (minor & 0xfff00) * 0x1000 + major * 0x100 + (minor & 0xff);
}
