import { check, declare } from './libc.ts';

const setsockoptCall = declare<[number, number, number, Buffer, number]>(
  'int setsockopt(int fd, int level, int option, const void *value, uint32_t length)',
);

/** Source: netinet/in.h, linux/tcp.h. */
const IPPROTO_TCP = 6;
const TCP_USER_TIMEOUT = 18;

/**
 * How long the other machine's kernel may leave what was sent unacknowledged, in milliseconds; then the connection ends
 * with ETIMEDOUT. So long may its buffers be full, too. Throws ENOTSOCK and the like.
 */
export function setTcpUserTimeout(fd: number, timeoutMs: number): void {
  const value = Buffer.alloc(4);
  value.writeUInt32LE(timeoutMs);
  check(setsockoptCall(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, value, value.length), 'setsockopt');
}
