/** Why there is no connection, in the words of people, and what to do about it. */
export interface ConnectionFailure {
  text: string;
  hint: string;
}

const KNOWN: readonly [pattern: RegExp, failure: ConnectionFailure][] = [
  [
    /self-signed certificate|unable to (get|verify)|certificate has expired|Hostname\/IP does not match/i,
    {
      text: "the gateway's certificate is expired, for another host, or not of the authority that the context names",
      hint: 'The context\'s --ca has to name the certificate authority of this fleet; see "longshore context ls -o wide".',
    },
  ],
  [
    /wrong version number|packet length too long/i,
    {
      text: 'what answers there does not speak TLS',
      hint: "Is it the gateway's port for gRPC? The one for HTTP is another.",
    },
  ],
  [
    /Stream refused by server|socket hang up|ECONNRESET|alert (bad|unknown|certificate)/i,
    {
      text: 'the gateway has hung up',
      hint: "It does so with a certificate that is another fleet's, expired or revoked, and when it is just being restarted.",
    },
  ],
];

const NOBODY =
  'Nothing listens there: start the agent ("npm start" in a checkout), or say where one is: --address, --context.';
const ROOT_ONLY = 'The node socket is for root only: use sudo, or a context of a gateway.';

/** Of a connection that could not be made, gRPC and HTTP/2 tell in many words; undefined for any other message. */
export function connectionFailure(message: string): ConnectionFailure | undefined {
  if (!/No connection established|^server at|^service "\S+": Stream refused/.test(message)) {
    const [, name] = /Name resolution failed for target (?:dns:)?(\S+)/.exec(message) ?? [];
    if (name === undefined) return undefined;
    return { text: `server at ${name}: nobody knows its name`, hint: 'Is --server of the context right?' };
  }
  const [, code, address] = /connect (E[A-Z]+) (\/\S+?|\S+:\d+)(?=\)|[.:]*\s|[.:]*$)/.exec(message) ?? [];
  if (code !== undefined) {
    const text = `server at ${address} cannot be reached (${code})`;
    return { text, hint: code === 'EACCES' ? ROOT_ONLY : NOBODY };
  }
  return KNOWN.find(([pattern]) => pattern.test(message))?.[1];
}
