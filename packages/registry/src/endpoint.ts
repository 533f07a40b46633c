/** The registry that `docker.io` in references means. */
export const DOCKER_HUB = 'docker.io';
export const DOCKER_HUB_REGISTRY = 'registry-1.docker.io';

/** Where the distribution API of a host of references is. */
export function endpointOf(host: string, plainHttp: boolean): string {
  const scheme = plainHttp || isLoopback(host) ? 'http' : 'https';
  return `${scheme}://${host === DOCKER_HUB ? DOCKER_HUB_REGISTRY : host}`;
}

/** Whether bytes to this host never leave the machine, so that they need no TLS. `host` may have a port. */
export function isLoopback(host: string): boolean {
  const name = host.startsWith('[') ? host.slice(0, host.indexOf(']') + 1) : host.split(':')[0]!;
  return name === 'localhost' || name === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(name);
}
