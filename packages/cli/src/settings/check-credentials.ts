import { UsageError } from '../usage-error.ts';
import type { Settings } from './settings.ts';

/** Throws UsageError for a gateway whose certificate could not be checked, or to which nobody would be known. */
export function checkCredentials({ address, context, tls, token }: Settings): void {
  if (/^(unix:\/\/)?\//.test(address)) return;
  const hint = `"longshore context set ${context} --ca FILE", and --certificate and --key, or --token-file.`;
  if (!tls) throw new UsageError(`gateway at ${address}: the context "${context}" names no --ca`, hint);
  if (token !== undefined || (tls.cert && tls.key)) return;
  throw new UsageError(
    `gateway at ${address}: the context "${context}" has neither a certificate with its key nor a token`,
    hint,
  );
}
