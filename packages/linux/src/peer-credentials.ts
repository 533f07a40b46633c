import { check, declare } from './libc.ts';

export interface PeerCredentials {
  pid: number;
  uid: number;
  gid: number;
}

const getsockoptCall = declare<[number, number, number, Buffer, Buffer]>(
  'int getsockopt(int fd, int level, int option, void *value, void *length)',
);

/** The same on x86-64 and arm64. Source: asm-generic/socket.h. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

/** Who connected to the other end of a unix socket, as of the time of `connect`. Throws ENOTSOCK and the like. */
export function peerCredentials(fd: number): PeerCredentials {
  const credentials = Buffer.alloc(12);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(credentials.length);
  check(getsockoptCall(fd, SOL_SOCKET, SO_PEERCRED, credentials, length), 'getsockopt');
  return {
    pid: credentials.readInt32LE(0),
    uid: credentials.readUInt32LE(4),
    gid: credentials.readUInt32LE(8),
  };
}
