/** How a bucket is reached. */
export interface S3Options {
  /** `http:` or `https:` with host and port. */
  readonly endpoint: URL;
  /** As nodes reach the same server. */
  readonly publicEndpoint: URL;
  readonly region: string;
  readonly bucket: string;
  /** What all keys begin with; empty, or with a slash at its end. */
  readonly prefix: string;
  /** Whether the bucket is the first part of the path, or of the host's name. */
  readonly pathStyle: boolean;
  /** Certificates in PEM that vouch for the server; undefined: the usual authorities. */
  readonly ca: string | undefined;
  readonly accessKey: string;
  readonly secretKey: string;
  /** A server that says or takes nothing for so long is asked again. */
  readonly timeoutMs: number;
}
