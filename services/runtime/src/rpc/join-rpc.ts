import { invalidArgument } from '@longshore/errors';
import type { Handlers } from '@longshore/kit';
import type { JoinService } from '@longshore/proto/longshore/runtime/v1/join';
import { parseJoinToken } from '../domain/join-token.ts';
import { versionNotice } from '../domain/software-version.ts';
import type { Joining } from '../joining.ts';
import { SOFTWARE_VERSION } from '../version.ts';
import { nodeFromProto, nodeToProto } from './convert-node.ts';
import { requireNetworkAddress } from './network-address.ts';

/** `longshore.runtime.v1.JoinService`, on a listener of its own. */
export function joinRpc(
  joining: Joining,
  authorities: string,
  addresses: Record<string, string>,
): Handlers<typeof JoinService> {
  return {
    async join({ token, certificateRequest, node: message }, call) {
      const parts = parseJoinToken(token);
      const report = nodeFromProto(message);
      // Who does not say which machine it is could pass for any that has the id.
      if (report.machineId === '') throw invalidArgument('node: machine_id must be set');
      if (report.address !== '') requireNetworkAddress(report.address);
      const notice = versionNotice(report.softwareVersion, SOFTWARE_VERSION);
      const { node, certificate } = await joining.join(parts, certificateRequest, report, notice);
      call.log.info({ node: node.id, join_token: parts.id, serial: certificate.serial }, 'node joined');
      return { certificate: certificate.chain, authorities, node: nodeToProto(node), addresses };
    },
  };
}
