import { Channel } from '@longshore/rpc';

/** A containerd, a longshore node, or a fleet's gateway. */
export class Client {
  readonly channel: Channel;

  constructor(address: string) {
    this.channel = new Channel(address);
  }

  close(): void {
    this.channel.close();
  }
}
